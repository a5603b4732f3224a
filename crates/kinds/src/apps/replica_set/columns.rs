//! The table of ReplicaSets.

use api::Column;
use k8s_openapi::api::apps::v1::ReplicaSet;
use serde_json::Value;

use crate::core::pod_template::{containers, images};
use crate::table::{age, integer, name, selector, string, wide};

/// Columns of the kind's table.
pub const COLUMNS: &[Column<ReplicaSet>] = &[
    name(),
    integer("Desired", |set, _| Value::from(set.spec.replicas.unwrap_or_default())),
    integer("Current", |set, _| Value::from(set.status.as_ref().map_or(0, |status| status.replicas))),
    integer("Ready", |set, _| {
        Value::from(set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default())
    }),
    age(),
    wide(string("Containers", |set, _| containers(set.spec.template.as_ref()))),
    wide(string("Images", |set, _| images(set.spec.template.as_ref()))),
    wide(string("Selector", |set, _| Value::from(selector(Some(&set.spec.selector))))),
];
