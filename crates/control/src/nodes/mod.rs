//! Nodes that come, go, and stop answering, and what becomes of their pods.

pub mod eviction;
pub mod finished;
pub mod lifecycle;
pub mod lost;

use api::{Change, Key, LogEntry, Subresource, View};
use k8s_openapi::api::core::v1::{Node, Pod, PodCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kinds::workload::{change, pods};
use serde_json::json;

/// The keys of all nodes.
pub(crate) fn all(view: &View) -> Vec<Key> {
    view.objects(view.catalogue().id_of::<Node>()).map(|object| object.header.key.clone()).collect()
}

/// The key of the node `name`.
pub(crate) fn key(name: &str, view: &View) -> Key {
    Key::new(view.catalogue().id_of::<Node>(), "", name)
}

/// The nodes that a changed pod is or was on.
pub(crate) fn of_pod(entry: &LogEntry, view: &View) -> Vec<Key> {
    if entry.object.header.key.kind != view.catalogue().id_of::<Pod>() {
        return Vec::new();
    }
    let pods = [Some(&entry.object), entry.previous.as_ref()].into_iter().flatten();
    // The first selectable field of pods is their node's name.
    let mut names: Vec<&String> =
        pods.filter_map(|pod| pod.header.fields.first()).filter(|name| !name.is_empty()).collect();
    names.dedup();
    names.into_iter().map(|name| key(name, view)).collect()
}

/// Sets a condition of a pod; other conditions stay as the view shows them.
pub(crate) fn set_pod_condition(pod: &Pod, wanted: PodCondition, view: &View) -> Change {
    let mut conditions = pod.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    conditions.retain(|one| one.type_ != wanted.type_);
    conditions.push(wanted);
    let patch = json!({
        "metadata": { "resourceVersion": pod.metadata.resource_version },
        "status": { "conditions": conditions },
    });
    change::patch(pod, view, Subresource::Status, patch)
}

/// The condition that says why a pod is deleted by the cluster (KEP-3329).
pub(crate) fn disruption(reason: &str, message: &str, view: &View) -> PodCondition {
    PodCondition {
        type_: "DisruptionTarget".to_owned(),
        status: "True".to_owned(),
        reason: Some(reason.to_owned()),
        message: Some(message.to_owned()),
        last_transition_time: Some(Time(view.now())),
        ..PodCondition::default()
    }
}

/// Whether a pod is marked already.
pub(crate) fn disrupted(pod: &Pod) -> bool {
    pods::condition(pod, "DisruptionTarget").is_some_and(|condition| condition.status == "True")
}
