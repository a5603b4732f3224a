//! Nodes that the pod's preferred node affinity names.

use kinds::placement::affinity;

use super::{Score, by_highest};

pub const SCORE: Score = Score {
    name: "NodeAffinity",
    weight: 2,
    of: |cycle, nodes| {
        let node_affinity = cycle.pod.spec.affinity.as_ref()?.node_affinity.as_ref()?;
        node_affinity.preferred_during_scheduling_ignored_during_execution.as_ref()?;
        Some(by_highest(nodes.iter().map(|node| affinity::preference(&cycle.pod.spec, node.node())).collect()))
    },
};
