//! Keeps a number of equal pods: the form that came before ReplicaSets.

pub mod controller;
mod rules;

use api::kind::ComputedField;
use api::{KindDef, Rules, ScalePaths};
use k8s_openapi::api::core::v1::ReplicationController;
use serde_json::Value;

use super::pod_template::{containers, images};
use crate::table::{self, age, integer, name, string, wide};

const SCALE: ScalePaths =
    ScalePaths { spec_replicas: "spec.replicas", status_replicas: "status.replicas", selector: "spec.selector" };

const COMPUTED: &[ComputedField] = &[ComputedField { name: "status.replicas", path: "status.replicas", absent: "0" }];

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<ReplicationController>(&RULES)
    .short(&["rc"])
    .in_all()
    .with_status()
    .with_scale(SCALE)
    .with_generation()
    .select_by(&["status.replicas"])
    .computing(COMPUTED);

const RULES: Rules<ReplicationController> = Rules {
    defaults: rules::defaults,
    prepare: rules::prepare,
    validate: rules::validate,
    columns: &[
        name(),
        integer("Desired", |controller, _| Value::from(spec(controller).replicas.unwrap_or_default())),
        integer("Current", |controller, _| Value::from(controller.status.as_ref().map_or(0, |status| status.replicas))),
        integer("Ready", |controller, _| {
            let ready = controller.status.as_ref().and_then(|status| status.ready_replicas);
            Value::from(ready.unwrap_or_default())
        }),
        age(),
        wide(string("Containers", |controller, _| containers(spec(controller).template.as_ref()))),
        wide(string("Images", |controller, _| images(spec(controller).template.as_ref()))),
        wide(string("Selector", |controller, _| Value::from(table::labels(spec(controller).selector.as_ref())))),
    ],
};

fn spec(controller: &ReplicationController) -> k8s_openapi::api::core::v1::ReplicationControllerSpec {
    controller.spec.clone().unwrap_or_default()
}
