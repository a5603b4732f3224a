//! Which of the nodes that will do is the best.
//!
//! Each score is 0 to 100, weighted as in Kubernetes' default profile. Of equals, the pod's own name picks one, so that
//! equal nodes are used alike and the same view gives the same answer.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use kinds::placement::{affinity, taints};

use super::attempt::Attempt;
use super::nodes::NodeInfo;

/// The best node of `fit`.
pub(super) fn best<'a>(attempt: &Attempt<'_>, fit: &[&'a NodeInfo]) -> Option<&'a NodeInfo> {
    if let [only] = fit {
        return Some(only);
    }
    let mut totals = vec![0_i64; fit.len()];
    let mut add = |weight: i64, values: Vec<i64>| {
        for (total, value) in totals.iter_mut().zip(values) {
            *total += weight * value;
        }
    };
    add(1, fit.iter().map(|info| room_left(attempt, info)).collect());
    add(1, fit.iter().map(|info| balance(attempt, info)).collect());
    add(3, fewer_is_better(fit.iter().map(|info| avoided(attempt, info)).collect()));
    add(2, more_is_better(fit.iter().map(|info| affinity::preference(attempt.spec(), info.node())).collect()));
    add(2, fewer_is_better(fit.iter().map(|info| attempt.spread.crowding(info) + siblings(attempt, info)).collect()));
    if attempt.inter_pod.prefers() {
        add(2, more_is_better(fit.iter().map(|info| attempt.inter_pod.preference(info)).collect()));
    }
    add(1, fit.iter().map(|info| has_images(attempt, info)).collect());
    let tie = |info: &NodeInfo| {
        let mut hasher = DefaultHasher::new();
        (&attempt.placed.object.header.key.name, info.name()).hash(&mut hasher);
        hasher.finish()
    };
    let ranked = fit.iter().zip(totals).max_by_key(|(info, total)| (*total, tie(info)));
    ranked.map(|(info, _)| *info)
}

fn fraction(taken: i64, of: i64) -> i64 {
    if of <= 0 { 100 } else { (taken.saturating_mul(100) / of).clamp(0, 100) }
}

/// Percent of processor and memory that would be taken.
fn use_after(attempt: &Attempt<'_>, info: &NodeInfo) -> (i64, i64) {
    let wanted = &attempt.placed.assumed;
    let cpu = fraction(info.assumed.milli_cpu + wanted.milli_cpu, info.allocatable.milli_cpu);
    let memory = fraction(info.assumed.memory + wanted.memory, info.allocatable.memory);
    (cpu, memory)
}

fn room_left(attempt: &Attempt<'_>, info: &NodeInfo) -> i64 {
    let (cpu, memory) = use_after(attempt, info);
    100 - i64::midpoint(cpu, memory)
}

fn balance(attempt: &Attempt<'_>, info: &NodeInfo) -> i64 {
    let (cpu, memory) = use_after(attempt, info);
    100 - (cpu - memory).abs() / 2
}

/// Taints that ask not to be placed here, and that the pod does not tolerate.
fn avoided(attempt: &Attempt<'_>, info: &NodeInfo) -> i64 {
    let tolerations = attempt.spec().tolerations.as_deref().unwrap_or_default();
    let soft = taints::of(info.node()).iter().filter(|taint| taint.effect == "PreferNoSchedule");
    let bothering = soft.filter(|taint| !tolerations.iter().any(|toleration| taints::tolerates(toleration, taint)));
    i64::try_from(bothering.count()).unwrap_or(i64::MAX)
}

/// Pods of the same controller on the node: losing a node should not lose them all.
fn siblings(attempt: &Attempt<'_>, info: &NodeInfo) -> i64 {
    let Some(owner) = attempt.placed.object.header.controller() else { return 0 };
    info.n_controlled_by(&owner.uid)
}

/// Whether the node has the pod's images: 100 when all of them.
fn has_images(attempt: &Attempt<'_>, info: &NodeInfo) -> i64 {
    let images = info.node().status.as_ref().and_then(|status| status.images.as_ref());
    let names: Vec<&String> = images.into_iter().flatten().flat_map(|image| image.names.iter().flatten()).collect();
    let wanted: Vec<&str> =
        attempt.spec().containers.iter().filter_map(|container| container.image.as_deref()).collect();
    let present = wanted.iter().filter(|image| names.iter().any(|name| name.as_str() == **image)).count();
    let percent = (present * 100).checked_div(wanted.len()).unwrap_or_default();
    i64::try_from(percent).unwrap_or_default()
}

fn more_is_better(values: Vec<i64>) -> Vec<i64> {
    let (least, most) =
        (values.iter().min().copied().unwrap_or_default(), values.iter().max().copied().unwrap_or_default());
    let scale = |value: i64| if most == least { 0 } else { (value - least) * 100 / (most - least) };
    values.into_iter().map(scale).collect()
}

fn fewer_is_better(values: Vec<i64>) -> Vec<i64> {
    let (least, most) =
        (values.iter().min().copied().unwrap_or_default(), values.iter().max().copied().unwrap_or_default());
    let scale = |value: i64| if most == least { 100 } else { 100 - (value - least) * 100 / (most - least) };
    values.into_iter().map(scale).collect()
}
