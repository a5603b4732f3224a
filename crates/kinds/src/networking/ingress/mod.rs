//! HTTP routes from outside to Services.

mod columns;
mod rules;

use api::{KindDef, Rules};
use k8s_openapi::api::networking::v1::Ingress;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<Ingress>(&RULES).short(&["ing"]).with_status().with_generation();

const RULES: Rules<Ingress> = Rules {
    defaults: rules::defaults,
    prepare: crate::value::clear_status,
    validate: rules::validate,
    columns: columns::COLUMNS,
};
