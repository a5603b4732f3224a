//! Manifests that are the same but for one thing.

use serde_json::{Value, json};

use super::IMAGE;

/// A container that runs a shell script.
pub fn shell(name: &str, script: &str) -> Value {
    json!({"name": name, "image": IMAGE, "command": ["sh", "-c", script]})
}

/// A pod of these containers that gives up quickly when it is to end.
pub fn pod(name: &str, containers: &[Value]) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": containers},
    })
}

/// The value with something else in it: objects are merged, all else is replaced.
pub fn with(mut value: Value, other: Value) -> Value {
    merge(&mut value, other);
    value
}

fn merge(value: &mut Value, other: Value) {
    match (value, other) {
        (Value::Object(fields), Value::Object(others)) => {
            for (name, other) in others {
                merge(fields.entry(name).or_insert(Value::Null), other);
            }
        }
        (value, other) => *value = other,
    }
}
