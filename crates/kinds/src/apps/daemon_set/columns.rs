//! The table of DaemonSets.

use api::Column;
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetStatus};
use serde_json::Value;

use crate::core::pod_template::{containers, images};
use crate::table::{age, integer, labels, name, selector, string, wide};

/// Columns of the kind's table.
pub const COLUMNS: &[Column<DaemonSet>] = &[
    name(),
    integer("Desired", |set, _| count(set, |status| Some(status.desired_number_scheduled))),
    integer("Current", |set, _| count(set, |status| Some(status.current_number_scheduled))),
    integer("Ready", |set, _| count(set, |status| Some(status.number_ready))),
    integer("Up-to-date", |set, _| count(set, |status| status.updated_number_scheduled)),
    integer("Available", |set, _| count(set, |status| status.number_available)),
    string("Node Selector", |set, _| {
        let spec = set.spec.template.spec.as_ref();
        Value::from(labels(spec.and_then(|spec| spec.node_selector.as_ref())))
    }),
    age(),
    wide(string("Containers", |set, _| containers(Some(&set.spec.template)))),
    wide(string("Images", |set, _| images(Some(&set.spec.template)))),
    wide(string("Selector", |set, _| Value::from(selector(Some(&set.spec.selector))))),
];

fn count(set: &DaemonSet, part: fn(&DaemonSetStatus) -> Option<i32>) -> Value {
    Value::from(set.status.as_ref().and_then(part).unwrap_or_default())
}
