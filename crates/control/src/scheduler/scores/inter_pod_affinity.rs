//! Nodes near pods that the pod would like to be near to, or that would like to be near to it.

use std::collections::HashMap;
use std::sync::Arc;

use super::{MAX, NodeInfo, Score};
use crate::scheduler::filters::Cycle;
use crate::scheduler::pod::PodInfo;
use crate::scheduler::terms::Term;

/// What a required affinity of another pod counts when the pod satisfies it.
const REQUIRED_WEIGHT: i64 = 1;

pub const SCORE: Score = Score { name: "InterPodAffinity", weight: 2, of };

type Points<'c> = HashMap<(&'c str, &'c str), i64>;

fn of(cycle: &Cycle<'_>, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
    let mut points: Points<'_> = HashMap::new();
    let likes = !cycle.pod.preferred.is_empty();
    for node in cycle.cluster.nodes.values().filter(|node| likes || node.n_affinity > 0) {
        for other in node.pods.values() {
            for (weight, term) in cycle.pod.preferred.iter().filter(|(_, term)| term.selects(other, cycle.view)) {
                add(&mut points, term, node, *weight);
            }
            liked_by(cycle, node, other, &mut points);
        }
    }
    if points.is_empty() {
        return None;
    }
    let sum = |node: &&NodeInfo| {
        points.iter().filter(|((key, value), _)| node.label(key) == Some(value)).map(|(_, points)| points).sum::<i64>()
    };
    let sums: Vec<i64> = nodes.iter().map(sum).collect();
    let (least, most) = (sums.iter().min().copied()?, sums.iter().max().copied()?);
    (most > least).then(|| sums.into_iter().map(|sum| MAX * (sum - least) / (most - least)).collect())
}

fn liked_by<'c>(cycle: &'c Cycle<'_>, node: &'c NodeInfo, other: &'c Arc<PodInfo>, points: &mut Points<'c>) {
    for (weight, term) in other.preferred.iter().filter(|(_, term)| term.selects(cycle.pod, cycle.view)) {
        add(points, term, node, *weight);
    }
    for term in other.near.iter().filter(|term| term.selects(cycle.pod, cycle.view)) {
        add(points, term, node, REQUIRED_WEIGHT);
    }
}

fn add<'c>(points: &mut Points<'c>, term: &'c Term, node: &'c NodeInfo, weight: i64) {
    if let Some(value) = node.label(&term.topology_key) {
        *points.entry((&term.topology_key, value)).or_default() += weight;
    }
}
