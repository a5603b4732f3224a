//! One stable address for a changing set of pods.
//!
//! Addresses and node ports that a client left open are given at the door; once there they stay with the service.

mod columns;
mod rules;
pub mod targets;
mod validate;

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::Service;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<Service>(&RULES)
    .short(&["svc"])
    .in_all()
    .with_status()
    .select_by(&["spec.clusterIP", "spec.type"]);

const RULES: Rules<Service> = Rules {
    defaults: rules::defaults,
    prepare: rules::prepare,
    validate: validate::validate,
    columns: columns::COLUMNS,
};
