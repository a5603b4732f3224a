//! What people see when a planned change was refused: an event about the object that wanted it, and where
//! Kubernetes has one, the condition `ReplicaFailure`.

use api::{Change, EventType, Key, Plan, Status, View};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus};
use k8s_openapi::api::core::v1::{ReplicationController, ReplicationControllerCondition, ReplicationControllerStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

/// What to record about a change that was refused for the object that `key` names.
pub fn record(key: &Key, change: &Change, status: &Status, view: &View) -> Plan {
    let mut plan = Plan::default();
    let terminating = status.causes.iter().any(|cause| cause.reason == "NamespaceTerminating");
    let Some(object) = view.object(key).filter(|_| !terminating) else { return plan };
    let Some((reason, message)) = words(change, status) else { return plan };
    if let Some(set) = object.typed::<ReplicaSet>() {
        replica_set(set, reason, &message, view.now(), &mut plan);
    } else if let Some(controller) = object.typed::<ReplicationController>() {
        replication_controller(controller, reason, &message, view.now(), &mut plan);
    }
    let text = if change_is_replica_set(change) { message } else { format!("Error creating: {}", status.message) };
    let text =
        if matches!(change, Change::Delete { .. }) { format!("Error deleting: {}", status.message) } else { text };
    plan.push(
        Change::Event {
            about: reference(&object.value()),
            kind: EventType::Warning,
            reason: reason.to_owned(),
            message: text,
        },
        "the change was refused",
    );
    plan
}

/// A reference to an object, as events hold it.
pub fn reference(object: &Value) -> Value {
    let meta = &object["metadata"];
    json!({
        "apiVersion": object["apiVersion"],
        "kind": object["kind"],
        "namespace": meta["namespace"],
        "name": meta["name"],
        "uid": meta["uid"],
        "resourceVersion": meta["resourceVersion"],
    })
}

fn change_is_replica_set(change: &Change) -> bool {
    matches!(change, Change::Create(value) if value["kind"] == "ReplicaSet")
}

fn words(change: &Change, status: &Status) -> Option<(&'static str, String)> {
    match change {
        Change::Create(value) if value["kind"] == "ReplicaSet" => {
            let name = value["metadata"]["name"].as_str().unwrap_or_default();
            Some(("ReplicaSetCreateError", format!("Failed to create new replica set {name:?}: {}", status.message)))
        }
        Change::Create(_) => Some(("FailedCreate", status.message.clone())),
        Change::Delete { .. } => Some(("FailedDelete", status.message.clone())),
        _ => None,
    }
}

fn replica_set(set: &ReplicaSet, reason: &str, message: &str, now: Timestamp, plan: &mut Plan) {
    let before = set.status.clone().unwrap_or_default();
    let mut conditions = before.conditions.clone().unwrap_or_default();
    let kept = |one: &ReplicaSetCondition| {
        one.type_.as_deref() == Some("ReplicaFailure") && one.reason.as_deref() == Some(reason)
    };
    if conditions.iter().any(kept) {
        return;
    }
    conditions.retain(|one| one.type_.as_deref() != Some("ReplicaFailure"));
    conditions.push(ReplicaSetCondition {
        type_: Some("ReplicaFailure".to_owned()),
        status: Some("True".to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: Some(Time(now)),
    });
    let status = ReplicaSetStatus { conditions: Some(conditions), ..before };
    plan.update_status(&ReplicaSet { status: Some(status), ..set.clone() }, "pods can't be made");
}

fn replication_controller(
    controller: &ReplicationController,
    reason: &str,
    message: &str,
    now: Timestamp,
    plan: &mut Plan,
) {
    let before = controller.status.clone().unwrap_or_default();
    let mut conditions = before.conditions.clone().unwrap_or_default();
    if conditions.iter().any(|one| one.type_ == "ReplicaFailure" && one.reason.as_deref() == Some(reason)) {
        return;
    }
    conditions.retain(|one| one.type_ != "ReplicaFailure");
    conditions.push(ReplicationControllerCondition {
        type_: "ReplicaFailure".to_owned(),
        status: "True".to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: Some(Time(now)),
    });
    let status = ReplicationControllerStatus { conditions: Some(conditions), ..before };
    plan.update_status(&ReplicationController { status: Some(status), ..controller.clone() }, "pods can't be made");
}
