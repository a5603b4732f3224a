//! Whether nodes are alive: conditions of those that stopped answering, and the taints that follow from conditions.
//!
//! A node lives while its lease is renewed (KEP-589). After a silence of [`GRACE_SECONDS`] its conditions become
//! `Unknown`, its taints keep pods away and send those that do not tolerate it elsewhere, and its pods count as not
//! ready. Silence is counted from when this process started at the earliest: while the cluster was stopped nobody
//! could answer.

use std::collections::BTreeMap;

use api::{Blocked, EventType, Key, LogEntry, Plan, Subresource, View};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod, PodCondition, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kinds::placement::taints;
use kinds::workload::meta::Meta;
use kinds::workload::{change, pods};
use serde_json::json;
use server::User;

use super::set_pod_condition;
use crate::planner::Planner;

/// Silence after which a node counts as gone, in seconds.
const GRACE_SECONDS: i64 = 50;

const LEASES: &str = "kube-node-lease";

/// Conditions that only the node itself can tell.
const OWN_CONDITIONS: &[&str] = &["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/// Conditions other than `Ready` with the taint that each makes while it is true.
const PRESSURE_TAINTS: &[(&str, &str)] = &[
    ("MemoryPressure", taints::MEMORY_PRESSURE),
    ("DiskPressure", taints::DISK_PRESSURE),
    ("PIDPressure", taints::PID_PRESSURE),
    ("NetworkUnavailable", taints::NETWORK_UNAVAILABLE),
];

/// Watches nodes.
pub struct Lifecycle {
    started: Timestamp,
}

impl Lifecycle {
    /// Watches nodes since `started`.
    pub fn new(started: Timestamp) -> Self {
        Self { started }
    }

    /// When the node was heard of last.
    fn heard(&self, node: &Node, view: &View) -> Timestamp {
        let lease = view.get::<Lease>(LEASES, node.name());
        let renewed = lease.and_then(|lease| lease.spec.as_ref()?.renew_time.as_ref()).map(|time| time.0);
        let posted = condition(node, "Ready").and_then(|ready| ready.last_heartbeat_time.as_ref()).map(|time| time.0);
        [renewed, posted].into_iter().flatten().max().unwrap_or_else(|| node.created()).max(self.started)
    }
}

impl Planner for Lifecycle {
    fn name(&self) -> &'static str {
        "node"
    }

    fn user(&self, _: &Key) -> User {
        User::controller("node")
    }

    fn all(&self, view: &View) -> Vec<Key> {
        super::all(view)
    }

    fn woken(&self, entry: &LogEntry, view: &View) -> Vec<Key> {
        let key = &entry.object.header.key;
        if key.kind == view.catalogue().id_of::<Node>() {
            vec![key.clone()]
        } else if key.kind == view.catalogue().id_of::<Lease>() && &*key.namespace == LEASES {
            vec![super::key(&key.name, view)]
        } else {
            Vec::new()
        }
    }

    fn plan(&self, key: &Key, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
        let Some(node) = view.get::<Node>("", &key.name).filter(|node| !node.deleting()) else { return Ok(()) };
        let lost = pods::later(self.heard(node, view), GRACE_SECONDS);
        if view.now() < lost {
            plan.wake_at(lost);
        } else if mark_unknown(node, view, plan) {
            return Ok(()); // The taints are written at the revision that this makes.
        }
        taint(node, view, plan);
        if status(node, "Ready") != "True" {
            mark_pods(node, view, plan);
        }
        Ok(())
    }
}

fn condition<'n>(node: &'n Node, kind: &str) -> Option<&'n NodeCondition> {
    node.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

fn status<'n>(node: &'n Node, kind: &str) -> &'n str {
    condition(node, kind).map_or("", |condition| condition.status.as_str())
}

/// Makes the conditions of a silent node unknown; says whether any was not yet.
fn mark_unknown(node: &Node, view: &View, plan: &mut Plan) -> bool {
    if OWN_CONDITIONS.iter().all(|kind| status(node, kind) == "Unknown") {
        return false;
    }
    let mut marked = node.clone();
    let conditions = marked.status.get_or_insert_default().conditions.get_or_insert_default();
    for kind in OWN_CONDITIONS {
        let before = conditions.iter().find(|condition| condition.type_ == *kind);
        if before.is_some_and(|condition| condition.status == "Unknown") {
            continue;
        }
        let (reason, message) = match before {
            Some(_) => ("NodeStatusUnknown", "Kubelet stopped posting node status."),
            None => ("NodeStatusNeverUpdated", "Kubelet never posted node status."),
        };
        let heartbeat = before.and_then(|condition| condition.last_heartbeat_time.clone());
        conditions.retain(|condition| condition.type_ != *kind);
        conditions.push(NodeCondition {
            type_: (*kind).to_owned(),
            status: "Unknown".to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_heartbeat_time: heartbeat,
            last_transition_time: Some(Time(view.now())),
        });
    }
    plan.update_status(&marked, "the node stopped answering");
    let message = format!("Node {} status is now: NodeNotReady", node.name());
    plan.event(node, EventType::Normal, "NodeNotReady", message);
    true
}

/// Keeps the taints that follow from conditions and from cordoning; others are left alone.
fn taint(node: &Node, view: &View, plan: &mut Plan) {
    let mut wanted: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    match status(node, "Ready") {
        "True" => {}
        "Unknown" => {
            wanted.insert((taints::UNREACHABLE, "NoSchedule"), false);
            wanted.insert((taints::UNREACHABLE, "NoExecute"), true);
        }
        // A node that has not said anything yet is new: it gets the time to.
        "" => {
            wanted.insert((taints::NOT_READY, "NoSchedule"), false);
        }
        _ => {
            wanted.insert((taints::NOT_READY, "NoSchedule"), false);
            wanted.insert((taints::NOT_READY, "NoExecute"), true);
        }
    }
    for (kind, key) in PRESSURE_TAINTS {
        if status(node, kind) == "True" {
            wanted.insert((key, "NoSchedule"), false);
        }
    }
    if node.spec.as_ref().is_some_and(|spec| spec.unschedulable == Some(true)) {
        wanted.insert((taints::UNSCHEDULABLE, "NoSchedule"), true);
    }
    let before = taints::of(node);
    let ours = |taint: &Taint| {
        PRESSURE_TAINTS.iter().any(|(_, key)| *key == taint.key)
            || [taints::NOT_READY, taints::UNREACHABLE, taints::UNSCHEDULABLE].contains(&taint.key.as_str())
    };
    let mut after: Vec<Taint> = Vec::new();
    for taint in before {
        let stays = !ours(taint) || wanted.remove(&(taint.key.as_str(), taint.effect.as_str())).is_some();
        if stays {
            after.push(taint.clone());
        }
    }
    after.extend(wanted.into_iter().map(|((key, effect), timed)| Taint {
        key: key.to_owned(),
        effect: effect.to_owned(),
        value: None,
        time_added: timed.then(|| Time(view.now())),
    }));
    if after == before {
        return;
    }
    let patch = json!({
        "metadata": { "resourceVersion": node.metadata.resource_version },
        "spec": { "taints": if after.is_empty() { serde_json::Value::Null } else { json!(after) } },
    });
    plan.push(change::patch(node, view, Subresource::Main, patch), "its conditions changed");
}

/// Nobody can tell whether the pods of a node that is not ready still serve: they count as not ready.
fn mark_pods(node: &Node, view: &View, plan: &mut Plan) {
    for pod in view.list_by_field::<Pod>(node.name()).filter(|pod| pods::ready(pod)) {
        let ready = pods::condition(pod, "Ready").cloned().unwrap_or_default();
        let wanted = PodCondition { status: "False".to_owned(), last_transition_time: Some(Time(view.now())), ..ready };
        plan.push(set_pod_condition(pod, wanted, view), "its node is not ready");
        plan.event(pod, EventType::Warning, "NodeNotReady", "Node is not ready");
    }
}
