//! Deletes pods that do not tolerate a `NoExecute` taint of their node, or no longer do.

use api::{Blocked, EventType, Key, LogEntry, Plan, View};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use kinds::placement::taints;
use kinds::workload::meta::Meta;
use kinds::workload::{change, pods};
use server::User;

use super::{disrupted, disruption, set_pod_condition};
use crate::planner::Planner;

/// Evicts pods from tainted nodes.
pub struct Eviction;

impl Planner for Eviction {
    fn name(&self) -> &'static str {
        "taint-eviction"
    }

    fn user(&self, _: &Key) -> User {
        User::controller("node")
    }

    fn all(&self, view: &View) -> Vec<Key> {
        super::all(view)
    }

    fn woken(&self, entry: &LogEntry, view: &View) -> Vec<Key> {
        if entry.object.header.key.kind == view.catalogue().id_of::<Node>() {
            vec![entry.object.header.key.clone()]
        } else {
            super::of_pod(entry, view)
        }
    }

    fn plan(&self, key: &Key, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
        let Some(node) = view.get::<Node>("", &key.name) else { return Ok(()) };
        let taints: Vec<&Taint> = taints::of(node).iter().filter(|taint| taint.effect == "NoExecute").collect();
        if taints.is_empty() {
            return Ok(());
        }
        for pod in view.list_by_field::<Pod>(node.name()).filter(|pod| pods::active(pod)) {
            match stays_until(pod, &taints, view.now()) {
                Some(time) if view.now() < time => plan.wake_at(time),
                Some(_) => evict(pod, view, plan),
                None => {}
            }
        }
        Ok(())
    }
}

/// Until when a pod may stay; `None` for ever.
fn stays_until(pod: &Pod, taints: &[&Taint], now: Timestamp) -> Option<Timestamp> {
    let tolerations = pods::spec(pod)?.tolerations.as_deref().unwrap_or_default();
    let mut earliest: Option<Timestamp> = None;
    for taint in taints {
        let matching = tolerations.iter().filter(|toleration| taints::tolerates(toleration, taint));
        let mut seconds: Option<i64> = None;
        let mut tolerated = false;
        for toleration in matching {
            tolerated = true;
            if let Some(limit) = toleration.toleration_seconds {
                seconds = Some(seconds.map_or(limit, |least| least.min(limit)));
            }
        }
        let until = match (tolerated, seconds) {
            (false, _) => Some(Timestamp::UNIX_EPOCH),
            (true, None) => None,
            (true, Some(seconds)) => {
                let since = taint.time_added.as_ref().map_or(now, |time| time.0);
                Some(pods::later(since, seconds.max(0)))
            }
        };
        if let Some(until) = until {
            earliest = Some(earliest.map_or(until, |earlier| earlier.min(until)));
        }
    }
    earliest
}

fn evict(pod: &Pod, view: &View, plan: &mut Plan) {
    if !disrupted(pod) {
        let condition = disruption("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint", view);
        plan.push(set_pod_condition(pod, condition, view), "say why it is deleted");
    }
    plan.push(change::delete(pod, view, None), "it does not tolerate a NoExecute taint of its node");
    let message = format!("Marking for deletion Pod {}/{}", pod.namespace(), pod.name());
    plan.event(pod, EventType::Normal, "TaintManagerEviction", message);
}
