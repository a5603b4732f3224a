//! Pods of an application spread evenly over domains of nodes (KEP-895).

use std::collections::HashMap;

use kinds::placement::{affinity, taints};

use super::{Cycle, Filter, Refusal};
use crate::scheduler::cluster::Cluster;
use crate::scheduler::node::NodeInfo;
use crate::scheduler::pod::PodInfo;
use crate::scheduler::terms::Spread;

pub const FILTER: Filter = Filter { name: "PodTopologySpread", fits };

/// How many pods the domains of each spread constraint have.
#[derive(Default)]
pub struct Domains {
    /// Per constraint of the pod: pods by value of the topology key.
    counts: Vec<HashMap<String, i64>>,
}

impl Domains {
    /// Counts for a pod.
    pub fn of(pod: &PodInfo, cluster: &Cluster) -> Self {
        let count = |constraint: &Spread| {
            let mut counts: HashMap<String, i64> = HashMap::new();
            for node in cluster.nodes.values().filter(|node| takes_part(pod, constraint, node)) {
                let Some(domain) = node.label(&constraint.topology_key) else { continue };
                let matching = n_matching(pod, constraint, node);
                *counts.entry(domain.to_owned()).or_default() += matching;
            }
            counts
        };
        Self { counts: pod.spread.iter().map(count).collect() }
    }

    /// Pods in a node's domain of the constraint `index`, and how many domains there are; `None` when the node is in
    /// no domain.
    pub fn count(&self, index: usize, constraint: &Spread, node: &NodeInfo) -> Option<(i64, usize)> {
        let counts = &self.counts[index];
        let domain = node.label(&constraint.topology_key)?;
        Some((counts.get(domain).copied().unwrap_or_default(), counts.len()))
    }

    /// Pods in the emptiest domain.
    fn least(&self, index: usize, constraint: &Spread) -> i64 {
        let counts = &self.counts[index];
        let n_domains = i64::try_from(counts.len()).unwrap_or(i64::MAX);
        if n_domains < constraint.min_domains { 0 } else { counts.values().min().copied().unwrap_or_default() }
    }
}

fn n_matching(pod: &PodInfo, constraint: &Spread, node: &NodeInfo) -> i64 {
    let namespace = &pod.key().namespace;
    let n = node.pods.values().filter(|other| constraint.counts(other, namespace)).count();
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Whether a node counts for a constraint.
fn takes_part(pod: &PodInfo, constraint: &Spread, node: &NodeInfo) -> bool {
    // A node counts when it is in a domain of every constraint of the same strength.
    let in_all = pod.spread.iter().filter(|one| one.hard == constraint.hard).all(|one| node.label(&one.topology_key).is_some());
    let affine = constraint.ignores_affinity || affinity::required(&pod.spec, node.node());
    let tolerations = pod.spec.tolerations.as_deref().unwrap_or_default();
    let untainted = !constraint.honors_taints
        || taints::untolerated(taints::of(node.node()), tolerations, taints::NO_PLACE).is_none();
    in_all && affine && untainted
}

fn fits(cycle: &Cycle<'_>, node: &NodeInfo) -> Result<(), Refusal> {
    let pod = cycle.pod;
    for (index, constraint) in pod.spread.iter().enumerate().filter(|(_, constraint)| constraint.hard) {
        let Some((n_pods, _)) = cycle.domains.count(index, constraint, node) else {
            let reason = "node(s) didn't match pod topology spread constraints (missing required label)";
            return Err(Refusal::helpless(reason));
        };
        let itself = i64::from(constraint.counts(pod, &pod.key().namespace));
        if n_pods + itself - cycle.domains.least(index, constraint) > constraint.max_skew {
            return Err(Refusal::full("node(s) didn't match pod topology spread constraints"));
        }
    }
    Ok(())
}
