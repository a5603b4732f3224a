//! Nodes where cpu and memory would be used up at the same rate.

use super::{MAX, NodeInfo, Score};
use crate::scheduler::filters::Cycle;

pub const SCORE: Score = Score { name: "NodeResourcesBalancedAllocation", weight: 1, of };

fn of(cycle: &Cycle<'_>, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
    let wanted = &cycle.pod.requests;
    if wanted.milli_cpu == 0 && wanted.memory == 0 {
        return None; // A pod without requests tips no balance.
    }
    let percent = |taken: i64, has: i64| if has <= 0 { MAX } else { (MAX * taken / has).min(MAX) };
    let points = |node: &&NodeInfo| {
        let (has, taken) = (&node.allocatable, &node.requested);
        let cpu = percent(taken.milli_cpu + wanted.milli_cpu, has.milli_cpu);
        let memory = percent((taken.memory + wanted.memory) / 1024, has.memory / 1024);
        MAX - (cpu - memory).abs() / 2
    };
    Some(nodes.iter().map(points).collect())
}
