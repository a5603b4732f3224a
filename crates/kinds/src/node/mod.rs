//! The group `node.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

use api::{KindDef, Rules};
use k8s_openapi::api::node::v1::RuntimeClass;
use serde_json::Value;

use crate::table::{age, name, string};

/// `RuntimeClass`.
pub const RUNTIME_CLASS: KindDef = {
    const RULES: Rules<RuntimeClass> = Rules {
        columns: &[name(), string("Handler", |class, _| Value::from(class.handler.as_str())), age()],
        ..Rules::NONE
    };
    KindDef::cluster(&RULES)
};
