//! Pods that want to be near other pods, or apart from them.

use std::collections::HashMap;

use api::View;

use super::{Cycle, Filter, Refusal};
use crate::scheduler::cluster::Cluster;
use crate::scheduler::node::NodeInfo;
use crate::scheduler::pod::PodInfo;

pub const FILTER: Filter = Filter { name: "InterPodAffinity", fits };

type Counts = HashMap<(String, String), i64>;

/// How many pods there are, by topology key and value, that matter to a pod.
#[derive(Default)]
pub struct Neighbours {
    /// Pods that match all of the pod's affinity terms.
    near: Counts,
    /// Pods that match one of its anti-affinity terms.
    apart: Counts,
    /// Pods with an anti-affinity term that matches the pod.
    repelled: Counts,
    /// Whether the pod matches its own affinity terms.
    like_itself: bool,
}

impl Neighbours {
    /// Counts for a pod.
    pub fn of(pod: &PodInfo, cluster: &Cluster, view: &View) -> Self {
        let mut neighbours = Self::default();
        for node in cluster.nodes.values().filter(|node| node.n_apart > 0) {
            for other in node.pods.values().filter(|other| !other.apart.is_empty()) {
                for term in other.apart.iter().filter(|term| term.selects(pod, view)) {
                    add(&mut neighbours.repelled, &term.topology_key, node);
                }
            }
        }
        if pod.near.is_empty() && pod.apart.is_empty() {
            return neighbours;
        }
        for (node, other) in cluster.pods() {
            if !pod.near.is_empty() && pod.near.iter().all(|term| term.selects(other, view)) {
                pod.near.iter().for_each(|term| add(&mut neighbours.near, &term.topology_key, node));
            }
            for term in pod.apart.iter().filter(|term| term.selects(other, view)) {
                add(&mut neighbours.apart, &term.topology_key, node);
            }
        }
        neighbours.like_itself = pod.near.iter().all(|term| term.selects(pod, view));
        neighbours
    }
}

fn add(counts: &mut Counts, topology_key: &str, node: &NodeInfo) {
    if let Some(value) = node.label(topology_key) {
        *counts.entry((topology_key.to_owned(), value.to_owned())).or_default() += 1;
    }
}

fn any(counts: &Counts, topology_key: &str, node: &NodeInfo) -> bool {
    let value = node.label(topology_key);
    value.is_some_and(|value| counts.get(&(topology_key.to_owned(), value.to_owned())).is_some_and(|count| *count > 0))
}

fn fits(cycle: &Cycle<'_>, node: &NodeInfo) -> Result<(), Refusal> {
    let (pod, neighbours) = (cycle.pod, &cycle.neighbours);
    let in_domains = pod.near.iter().all(|term| node.label(&term.topology_key).is_some());
    let met = pod.near.iter().all(|term| any(&neighbours.near, &term.topology_key, node));
    // The first pod of a group that wants to be together has nobody to be near to but itself.
    let first = neighbours.near.is_empty() && neighbours.like_itself;
    if !in_domains || !(met || first) {
        return Err(Refusal::helpless("node(s) didn't match pod affinity rules"));
    }
    if pod.apart.iter().any(|term| any(&neighbours.apart, &term.topology_key, node)) {
        return Err(Refusal::full("node(s) didn't match pod anti-affinity rules"));
    }
    let repelled = neighbours.repelled.iter().any(|((key, value), count)| *count > 0 && node.label(key) == Some(value));
    if repelled {
        return Err(Refusal::full("node(s) didn't satisfy existing pods anti-affinity rules"));
    }
    Ok(())
}
