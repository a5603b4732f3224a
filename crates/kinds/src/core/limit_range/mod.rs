//! Bounds and defaults for the resources of one namespace's pods.

mod rules;

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::LimitRange;

use crate::table::{created_at, name};

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<LimitRange>(&RULES).short(&["limits"]);

const RULES: Rules<LimitRange> = Rules {
    defaults: rules::defaults,
    prepare: |_, _| {},
    validate: rules::validate,
    columns: &[name(), created_at()],
};
