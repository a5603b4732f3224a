//! Which of the nodes that fit is best: one file per score, each with its weight.

mod balanced_allocation;
mod image_locality;
mod inter_pod_affinity;
mod least_allocated;
mod node_affinity;
mod taint_toleration;
mod topology_spread;

use super::filters::Cycle;
use super::node::NodeInfo;

/// The best score of one kind.
pub const MAX: i64 = 100;

/// One score.
pub struct Score {
    /// Name of the plugin of Kubernetes' scheduler that does the same.
    pub name: &'static str,
    /// How much it counts.
    pub weight: i64,
    /// Scores nodes from 0 to [`MAX`]; `None` when it makes no difference for the pod.
    pub of: fn(&Cycle<'_>, &[&NodeInfo]) -> Option<Vec<i64>>,
}

/// Every score.
pub const SCORES: &[Score] = &[
    taint_toleration::SCORE,
    node_affinity::SCORE,
    topology_spread::SCORE,
    inter_pod_affinity::SCORE,
    least_allocated::SCORE,
    balanced_allocation::SCORE,
    image_locality::SCORE,
];

/// The weighted scores of nodes.
pub fn total(cycle: &Cycle<'_>, nodes: &[&NodeInfo]) -> Vec<i64> {
    let mut totals = vec![0; nodes.len()];
    for score in SCORES {
        let Some(scores) = (score.of)(cycle, nodes) else { continue };
        totals.iter_mut().zip(scores).for_each(|(total, points)| *total += points * score.weight);
    }
    totals
}

/// Stretches points so that the highest becomes [`MAX`].
fn by_highest(points: Vec<i64>) -> Vec<i64> {
    let highest = points.iter().copied().max().unwrap_or_default();
    if highest == 0 { points } else { points.into_iter().map(|one| one * MAX / highest).collect() }
}

/// Turns points around: none is best.
fn fewest_best(points: Vec<i64>) -> Vec<i64> {
    by_highest(points).into_iter().map(|one| MAX - one).collect()
}
