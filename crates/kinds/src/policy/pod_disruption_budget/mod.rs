//! How many pods of an application may be away on purpose.

pub mod controller;
mod rules;

use api::{KindDef, Rules};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::Value;

use crate::table::{age, integer, name, string};

/// The kind's definition.
pub const KIND: KindDef =
    KindDef::namespaced::<PodDisruptionBudget>(&RULES).short(&["pdb"]).with_status().with_generation();

const RULES: Rules<PodDisruptionBudget> = Rules {
    defaults: |_| {},
    prepare: crate::value::clear_status,
    validate: rules::validate,
    columns: &[
        name(),
        string("Min Available", |budget, _| shown(budget.spec.as_ref().and_then(|spec| spec.min_available.as_ref()))),
        string("Max Unavailable", |budget, _| {
            shown(budget.spec.as_ref().and_then(|spec| spec.max_unavailable.as_ref()))
        }),
        integer("Allowed Disruptions", |budget, _| {
            let allowed = budget.status.as_ref().and_then(|status| status.disruptions_allowed);
            Value::from(allowed.unwrap_or_default())
        }),
        age(),
    ],
};

fn shown(amount: Option<&IntOrString>) -> Value {
    match amount {
        Some(IntOrString::Int(number)) => Value::from(number.to_string()),
        Some(IntOrString::String(text)) => Value::from(text.as_str()),
        None => Value::from("N/A"),
    }
}
