//! The identity under which a pod talks to the API server.

pub mod controller;

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::ServiceAccount;
use serde_json::Value;

use crate::table::{age, name, string};

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<ServiceAccount>(&RULES).short(&["sa"]);

const RULES: Rules<ServiceAccount> = Rules {
    columns: &[
        name(),
        string("Secrets", |account, _| Value::from(account.secrets.as_ref().map_or(0, Vec::len))),
        age(),
    ],
    ..Rules::NONE
};
