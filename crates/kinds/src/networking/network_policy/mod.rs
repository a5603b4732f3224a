//! Which pods may talk to which.

mod rules;

use api::{KindDef, Rules};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::Value;

use crate::table::{age, name, selector, string};

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<NetworkPolicy>(&RULES).short(&["netpol"]).with_generation();

const RULES: Rules<NetworkPolicy> = Rules {
    defaults: rules::defaults,
    prepare: |_, _| {},
    validate: rules::validate,
    columns: &[
        name(),
        string("Pod-Selector", |policy, _| {
            Value::from(selector(policy.spec.as_ref().and_then(|spec| spec.pod_selector.as_ref())))
        }),
        age(),
    ],
};
