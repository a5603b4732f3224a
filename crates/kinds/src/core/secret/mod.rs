//! Configuration that is not for everybody's eyes.

mod rules;

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::Secret;
use serde_json::Value;

use crate::table::{age, name, string, text};

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<Secret>(&RULES).select_by(&["type"]);

const RULES: Rules<Secret> = Rules {
    defaults: rules::defaults,
    prepare: rules::prepare,
    validate: rules::validate,
    columns: &[
        name(),
        string("Type", |secret, _| text(&secret.type_)),
        string("Data", |secret, _| Value::from(secret.data.as_ref().map_or(0, |data| data.len()))),
        age(),
    ],
};
