//! Removes pods that no kubelet will remove: those of nodes that are gone, and those that are deleted before they
//! had a node.

use api::{Blocked, Key, LogEntry, Plan, Subresource, View};
use k8s_openapi::api::core::v1::{Node, Pod};
use kinds::workload::meta::Meta;
use kinds::workload::{change, pods};
use serde_json::json;
use server::User;

use super::disruption;
use crate::planner::Planner;
use crate::root_ca::account;

/// Removes lost pods. A key names a node, or a pod without one.
pub struct LostPods;

impl Planner for LostPods {
    fn name(&self) -> &'static str {
        "pod-garbage-collector"
    }

    fn user(&self, _: &Key) -> User {
        account("pod-garbage-collector")
    }

    fn all(&self, view: &View) -> Vec<Key> {
        let pods = view.objects(view.catalogue().id_of::<Pod>());
        let keys = pods.filter_map(|pod| match pod.header.fields.first().filter(|node| !node.is_empty()) {
            Some(node) => Some(super::key(node, view)),
            None => pod.header.deleting.map(|_| pod.header.key.clone()),
        });
        keys.collect()
    }

    fn woken(&self, entry: &LogEntry, view: &View) -> Vec<Key> {
        let header = &entry.object.header;
        if header.key.kind == view.catalogue().id_of::<Node>() {
            return if view.object(&header.key).is_none() { vec![header.key.clone()] } else { Vec::new() };
        }
        let lost = |key: &Key| view.object(key).is_none();
        let mut keys: Vec<Key> = super::of_pod(entry, view).into_iter().filter(lost).collect();
        let is_pod = header.key.kind == view.catalogue().id_of::<Pod>();
        if is_pod && header.deleting.is_some() && header.fields.first().is_none_or(String::is_empty) {
            keys.push(header.key.clone());
        }
        keys
    }

    fn plan(&self, key: &Key, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
        if key.kind != view.catalogue().id_of::<Node>() {
            if let Some(pod) = view.get::<Pod>(&key.namespace, &key.name)
                && pod.deleting()
                && pods::node_name(pod).is_empty()
            {
                remove(pod, None, view, plan);
            }
            return Ok(());
        }
        if view.object(key).is_none() {
            for pod in view.list_by_field::<Pod>(&key.name) {
                remove(pod, Some("PodGC: node no longer exists"), view, plan);
            }
        }
        Ok(())
    }
}

/// Ends a pod in the status, so that those who count ends see one, and removes it.
fn remove(pod: &Pod, disrupted: Option<&str>, view: &View, plan: &mut Plan) {
    if !pods::finished(pod) {
        let mut status = json!({ "phase": "Failed" });
        if let Some(message) = disrupted {
            let mut conditions = pod.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
            conditions.retain(|one| one.type_ != "DisruptionTarget");
            conditions.push(disruption("DeletionByPodGC", message, view));
            status["conditions"] = json!(conditions);
        }
        plan.push(change::patch(pod, view, Subresource::Status, json!({ "status": status })), "nobody runs it");
    }
    // A pod that a finalizer holds is deleted already; it goes when the finalizer does.
    if pod.metadata.deletion_grace_period_seconds != Some(0) {
        plan.push(change::delete(pod, view, Some(0)), "no kubelet will remove it");
    }
}
