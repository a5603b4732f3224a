//! The table of StatefulSets.

use api::Column;
use k8s_openapi::api::apps::v1::StatefulSet;
use serde_json::Value;

use crate::core::pod_template::{containers, images};
use crate::table::{age, name, string, wide};

/// Columns of the kind's table.
pub const COLUMNS: &[Column<StatefulSet>] = &[
    name(),
    string("Ready", |set, _| {
        let ready = set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default();
        let wanted = set.spec.replicas.unwrap_or_default();
        Value::from(format!("{ready}/{wanted}"))
    }),
    age(),
    wide(string("Containers", |set, _| containers(Some(&set.spec.template)))),
    wide(string("Images", |set, _| images(Some(&set.spec.template)))),
];
