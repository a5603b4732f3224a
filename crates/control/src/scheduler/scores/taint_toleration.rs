//! Nodes whose taints would rather have other pods come last.

use kinds::placement::taints;

use super::{Score, fewest_best};

pub const SCORE: Score = Score {
    name: "TaintToleration",
    weight: 3,
    of: |cycle, nodes| {
        let tolerations = cycle.pod.spec.tolerations.as_deref().unwrap_or_default();
        let unwelcome = |node: &&super::NodeInfo| {
            let soft = taints::of(node.node()).iter().filter(|taint| taint.effect == "PreferNoSchedule");
            soft.filter(|taint| !tolerations.iter().any(|one| taints::tolerates(one, taint))).count()
        };
        let counts: Vec<i64> = nodes.iter().map(|node| i64::try_from(unwelcome(node)).unwrap_or(i64::MAX)).collect();
        counts.iter().any(|count| *count > 0).then(|| fewest_best(counts))
    },
};
