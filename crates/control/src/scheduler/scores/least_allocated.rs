//! Nodes with more left of cpu and memory.

use super::{MAX, NodeInfo, Score};
use crate::scheduler::filters::Cycle;

pub const SCORE: Score = Score { name: "NodeResourcesFit", weight: 1, of };

fn of(cycle: &Cycle<'_>, nodes: &[&NodeInfo]) -> Option<Vec<i64>> {
    let (cpu, memory) = (cycle.pod.assumed.milli_cpu, cycle.pod.assumed.memory);
    let left = |has: i64, taken: i64| if has <= 0 || taken > has { 0 } else { MAX * (has - taken) / has };
    let points = |node: &&NodeInfo| {
        let (has, taken) = (&node.allocatable, &node.assumed);
        (left(has.milli_cpu, taken.milli_cpu + cpu) + left(has.memory / 1024, (taken.memory + memory) / 1024)) / 2
    };
    Some(nodes.iter().map(points).collect())
}
