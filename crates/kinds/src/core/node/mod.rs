//! A machine that runs pods.

mod columns;
mod rules;

use api::kind::ComputedField;
use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::Node;

const COMPUTED: &[ComputedField] =
    &[ComputedField { name: "spec.unschedulable", path: "spec.unschedulable", absent: "false" }];

/// The kind's definition.
pub const KIND: KindDef = KindDef::cluster::<Node>(&RULES)
    .short(&["no"])
    .with_status()
    .select_by(&["spec.unschedulable"])
    .computing(COMPUTED);

const RULES: Rules<Node> = Rules {
    defaults: rules::defaults,
    // A kubelet registers its node together with the status, so a new node keeps what it says.
    prepare: |_, _| {},
    validate: rules::validate,
    columns: columns::COLUMNS,
};
