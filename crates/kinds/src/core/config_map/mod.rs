//! Configuration that pods read: text and bytes by key.

mod rules;

pub use rules::{SIZE_MAX, immutable};

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::Value;

use crate::table::{age, name, string};

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<ConfigMap>(&RULES).short(&["cm"]);

const RULES: Rules<ConfigMap> = Rules {
    defaults: |_| {},
    prepare: |_, _| {},
    validate: rules::validate,
    columns: &[
        name(),
        string("Data", |map, _| {
            let text = map.data.as_ref().map_or(0, |data| data.len());
            let bytes = map.binary_data.as_ref().map_or(0, |data| data.len());
            Value::from(text + bytes)
        }),
        age(),
    ],
};
