//! A named priority of pods.

mod rules;

pub use rules::SYSTEM;

use api::{KindDef, Rules};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use serde_json::Value;

use crate::table::{age, boolean, integer, name, string, text};
use crate::value::default_text;

/// The kind's definition.
pub const KIND: KindDef = KindDef::cluster::<PriorityClass>(&RULES).short(&["pc"]).with_generation();

const RULES: Rules<PriorityClass> = Rules {
    defaults: |class| default_text(class, "preemptionPolicy", "PreemptLowerPriority"),
    prepare: |_, _| {},
    validate: rules::validate,
    columns: &[
        name(),
        integer("Value", |class, _| Value::from(class.value.unwrap_or_default())),
        boolean("Global-Default", |class, _| Value::from(class.global_default.unwrap_or_default())),
        age(),
        string("PreemptionPolicy", |class, _| text(&class.preemption_policy)),
    ],
};
