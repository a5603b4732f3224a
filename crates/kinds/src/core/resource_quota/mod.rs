//! Bounds for what a namespace may use in sum.

pub mod controller;
mod rules;
mod usage;

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::ResourceQuota;
use serde_json::Value;

use crate::table::{age, name, string};

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<ResourceQuota>(&RULES).short(&["quota"]).with_status();

const RULES: Rules<ResourceQuota> = Rules {
    defaults: rules::defaults,
    prepare: crate::value::clear_status,
    validate: rules::validate,
    columns: &[
        name(),
        string("Request", |quota, _| Value::from(used(quota, false))),
        string("Limit", |quota, _| Value::from(used(quota, true))),
        age(),
    ],
};

/// What is used of what there may be, of limits or of everything else.
fn used(quota: &ResourceQuota, of_limits: bool) -> String {
    let status = quota.status.clone().unwrap_or_default();
    let used = status.used.unwrap_or_default();
    let hard = status.hard.unwrap_or_default();
    let of_kind = hard.iter().filter(|(name, _)| name.starts_with("limits.") == of_limits);
    let shown: Vec<String> = of_kind
        .map(|(name, hard)| format!("{name}: {}/{}", used.get(name).map_or("0", |used| &used.0), hard.0))
        .collect();
    shown.join(", ")
}
