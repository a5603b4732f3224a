//! The smallest strategic merge patch from one pod status to another.
//!
//! Others write to the same status (the scheduler, readiness gates), so only what differs is sent.

use k8s_openapi::api::core::v1::PodStatus;
use serde_json::{Map, Value, json};

/// Lists that the API server merges by a key unless it is told to replace them.
const KEYED: [&str; 2] = ["podIPs", "hostIPs"];

/// The patch of the pod with that uid, or `None` when nothing differs.
pub(crate) fn between(uid: &str, old: &PodStatus, new: &PodStatus) -> Option<Value> {
    let old = serde_json::to_value(old).ok()?;
    let new = serde_json::to_value(new).ok()?;
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return None };
    let mut status = Map::new();
    for (key, value) in &new {
        let before = old.get(key);
        if before == Some(value) {
            continue;
        }
        let patched = match (key.as_str(), value) {
            ("conditions", Value::Array(conditions)) => changed(before, conditions),
            (key, Value::Array(items)) if KEYED.contains(&key) => replaced(items),
            _ => value.clone(),
        };
        status.insert(key.clone(), patched);
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        status.insert(key.clone(), Value::Null);
    }
    // The uid makes it fail for another pod of the same name.
    (!status.is_empty()).then(|| json!({ "metadata": { "uid": uid }, "status": status }))
}

/// Conditions are merged by type: those that are as they were need not be sent. A field that went away
/// is sent as null.
fn changed(before: Option<&Value>, conditions: &[Value]) -> Value {
    let before = before.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let differing = conditions.iter().filter(|condition| !before.contains(condition));
    let patches = differing.map(|condition| {
        let mut patch = condition.clone();
        let same = before.iter().find(|old| old.get("type") == condition.get("type"));
        if let (Some(Value::Object(same)), Value::Object(patch)) = (same, &mut patch) {
            for key in same.keys() {
                patch.entry(key.clone()).or_insert(Value::Null);
            }
        }
        patch
    });
    Value::Array(patches.collect())
}

fn replaced(items: &[Value]) -> Value {
    let marker = json!({ "$patch": "replace" });
    Value::Array(items.iter().cloned().chain([marker]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(value: Value) -> PodStatus {
        serde_json::from_value(value).unwrap()
    }

    fn check(old: Value, new: Value, expected: Option<Value>) {
        let patch = between("u", &status(old), &status(new));
        assert_eq!(patch.map(|patch| patch["status"].clone()), expected);
    }

    #[test]
    fn nothing_is_sent_when_nothing_differs() {
        check(json!({"phase": "Running"}), json!({"phase": "Running"}), None);
    }

    #[test]
    fn only_differences_are_sent() {
        check(
            json!({"phase": "Pending", "reason": "x", "startTime": "2026-01-01T00:00:00Z", "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Ready", "status": "False", "reason": "ContainersNotReady"},
            ]}),
            json!({"phase": "Running", "startTime": "2026-01-01T00:00:00Z", "podIPs": [{"ip": "10.0.0.1"}], "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Ready", "status": "True"},
            ]}),
            Some(json!({
                "phase": "Running",
                "reason": null,
                "podIPs": [{"ip": "10.0.0.1"}, {"$patch": "replace"}],
                "conditions": [{"type": "Ready", "status": "True", "reason": null}],
            })),
        );
    }
}
