//! The table of deployments.

use api::Column;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use serde_json::Value;

use crate::core::pod_template::{containers, images};
use crate::table::{age, name, selector, string, wide};

/// Columns of the kind's table.
pub const COLUMNS: &[Column<Deployment>] = &[
    name(),
    string("Ready", |deployment, _| {
        let wanted = deployment.spec.replicas.unwrap_or_default();
        Value::from(format!("{}/{wanted}", count(deployment, |status| status.ready_replicas)))
    }),
    string("Up-to-date", |deployment, _| Value::from(count(deployment, |status| status.updated_replicas))),
    string("Available", |deployment, _| Value::from(count(deployment, |status| status.available_replicas))),
    age(),
    wide(string("Containers", |deployment, _| containers(Some(&deployment.spec.template)))),
    wide(string("Images", |deployment, _| images(Some(&deployment.spec.template)))),
    wide(string("Selector", |deployment, _| Value::from(selector(Some(&deployment.spec.selector))))),
];

fn count(deployment: &Deployment, part: fn(&DeploymentStatus) -> Option<i32>) -> i32 {
    deployment.status.as_ref().and_then(part).unwrap_or_default()
}
