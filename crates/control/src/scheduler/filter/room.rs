//! Whether there is room: ports, resources, and the number of pods.

use std::borrow::Cow;

use kinds::placement::requests::Resources;

use super::Rejection;
use crate::scheduler::attempt::Attempt;
use crate::scheduler::nodes::{HostPort, NodeInfo, Placed};

/// Pods that wait for victims on this node to end, and come before the one that asks.
fn promised<'a>(attempt: &'a Attempt<'_>, info: &'a NodeInfo) -> impl Iterator<Item = &'a Placed> {
    let name = info.name();
    let (own, priority) = (&attempt.placed.object.header.key, attempt.placed.priority);
    let waiting = attempt.nodes.nominated.iter();
    waiting
        .filter(move |(key, promise)| *key != own && promise.node == name && promise.placed.priority >= priority)
        .map(|(_, promise)| &promise.placed)
}

fn collide(one: &HostPort, other: &HostPort) -> bool {
    let any = |address: &str| address == "0.0.0.0";
    one.0 == other.0 && one.2 == other.2 && (one.1 == other.1 || any(&one.1) || any(&other.1))
}

/// No two pods may have the same port of a node.
pub(super) fn ports(attempt: &Attempt<'_>, info: &NodeInfo) -> Option<Rejection> {
    let wanted = &attempt.placed.ports;
    if wanted.is_empty() {
        return None;
    }
    let held = info.pods.values().chain(promised(attempt, info)).flat_map(|placed| &placed.ports);
    let taken = held.into_iter().any(|held| wanted.iter().any(|port| collide(port, held)));
    taken.then(|| Rejection::curable("node(s) didn't have free ports for the requested pod ports"))
}

/// Requests must fit into what is left of the node.
pub(super) fn resources(attempt: &Attempt<'_>, info: &NodeInfo) -> Option<Rejection> {
    let (mut taken, mut n_pods) = (Cow::Borrowed(&info.taken), info.pods.len());
    for placed in promised(attempt, info) {
        taken.to_mut().add(&placed.requests);
        n_pods += 1;
    }
    let wanted = &attempt.placed.requests;
    let has = &info.allocatable;
    let mut reasons = Vec::new();
    let mut never = false;
    if i64::try_from(n_pods).unwrap_or(i64::MAX) >= info.max_pods {
        reasons.push("Too many pods".to_owned());
        never |= info.max_pods == 0;
    }
    for (name, wanted, taken, has) in rows(wanted, &taken, has) {
        if wanted > 0 && wanted > has - taken {
            reasons.push(format!("Insufficient {name}"));
            never |= wanted > has;
        }
    }
    (!reasons.is_empty()).then_some(Rejection { reasons, curable: !never })
}

/// Name, wanted, taken and available amount of each resource.
fn rows<'a>(
    wanted: &'a Resources,
    taken: &'a Resources,
    has: &'a Resources,
) -> impl Iterator<Item = (&'a str, i64, i64, i64)> {
    let usual = [
        ("cpu", wanted.milli_cpu, taken.milli_cpu, has.milli_cpu),
        ("memory", wanted.memory, taken.memory, has.memory),
        ("ephemeral-storage", wanted.ephemeral_storage, taken.ephemeral_storage, has.ephemeral_storage),
    ];
    let others = wanted.others.iter().map(|(name, amount)| {
        let of = |resources: &Resources| resources.others.get(name).copied().unwrap_or_default();
        (name.as_str(), *amount, of(taken), of(has))
    });
    usual.into_iter().chain(others)
}
