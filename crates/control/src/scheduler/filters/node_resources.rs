//! A pod's requests must fit beside those of the pods that the node has.

use std::borrow::Cow;

use super::{Filter, Refusal};
use crate::scheduler::node::NodeInfo;
use crate::scheduler::pod::PodInfo;

pub const FILTER: Filter = Filter { name: "NodeResourcesFit", fits: |cycle, node| fits(cycle.pod, node) };

fn fits(pod: &PodInfo, node: &NodeInfo) -> Result<(), Refusal> {
    let mut lacking = Refusal { reasons: Vec::new(), helpless: false };
    if i64::try_from(node.pods.len()).unwrap_or(i64::MAX) >= node.max_pods {
        lacking.reasons.push(Cow::Borrowed("Too many pods"));
        lacking.helpless |= node.max_pods == 0;
    }
    let (wanted, has, taken) = (&pod.requests, &node.allocatable, &node.requested);
    let mut check = |name: &str, wanted: i64, has: i64, taken: i64| {
        if wanted > 0 && wanted > has - taken {
            lacking.reasons.push(Cow::Owned(format!("Insufficient {name}")));
            lacking.helpless |= wanted > has;
        }
    };
    check("cpu", wanted.milli_cpu, has.milli_cpu, taken.milli_cpu);
    check("memory", wanted.memory, has.memory, taken.memory);
    check("ephemeral-storage", wanted.ephemeral_storage, has.ephemeral_storage, taken.ephemeral_storage);
    for (name, amount) in &wanted.others {
        let of = |map: &std::collections::BTreeMap<String, i64>| map.get(name).copied().unwrap_or_default();
        check(name, *amount, of(&has.others), of(&taken.others));
    }
    if lacking.reasons.is_empty() { Ok(()) } else { Err(lacking) }
}
