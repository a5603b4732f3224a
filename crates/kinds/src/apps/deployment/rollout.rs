//! One step of a rollout: which ReplicaSets grow and shrink.
//!
//! Invariant of a rolling update: never more than `replicas + maxSurge` pods are asked for, counting those that a
//! shrunk set has not deleted yet, and no set is shrunk below `replicas - maxUnavailable` available pods in all. Pods
//! that are not available go first: they serve nobody.

use api::View;
use k8s_openapi::api::core::v1::Pod;

use super::revision::new_replicas;
use super::scaling::remember;
use super::sets::{Set, Sets};
use super::strategy::Strategy;
use crate::workload::meta::Meta;
use crate::workload::pods;

/// One step of a rolling update: the new set grows; when it can't, the old ones shrink.
pub fn rolling(strategy: &Strategy, sets: &mut Sets<'_>) {
    if !resize_new(strategy, sets) {
        shrink_old(strategy, sets);
    }
}

/// One step of `Recreate`: old pods go, then the new set gets its full size.
pub fn recreate(strategy: &Strategy, sets: &mut Sets<'_>, view: &View) {
    let mut shrunk = false;
    for set in sets.old.iter_mut().filter(|set| set.replicas() > 0) {
        set.resize(0);
        remember(strategy, set);
        shrunk = true;
    }
    if !shrunk && old_pods_gone(sets, view) {
        resize_new(strategy, sets);
    }
}

/// Whether no pod of an old set runs any more.
pub fn old_pods_gone(sets: &Sets<'_>, view: &View) -> bool {
    let still = |set: &Set<'_>| {
        set.replicas() > 0 || view.controlled_by::<Pod>(set.wanted.uid()).any(|pod| !pods::finished(pod))
    };
    !sets.old.iter().any(still)
}

fn resize_new(strategy: &Strategy, sets: &mut Sets<'_>) -> bool {
    let all = sets.pods();
    let Some(new) = &mut sets.new else { return false };
    let now = new.replicas();
    let wanted = if now > strategy.replicas { strategy.replicas } else { new_replicas(strategy, now, all) };
    if now == wanted {
        return false;
    }
    new.resize(wanted);
    remember(strategy, new);
    true
}

fn shrink_old(strategy: &Strategy, sets: &mut Sets<'_>) {
    if sets.old_replicas() == 0 {
        return;
    }
    let new_unavailable = sets.new.as_ref().map_or(0, |set| set.replicas() - set.serving());
    let most = sets.replicas() - strategy.fewest() - new_unavailable;
    if most <= 0 {
        return;
    }
    let unhealthy = drop_unhealthy(strategy, &mut sets.old, most);
    // Availability is counted for pods that stay: those that were just dropped were not available.
    let spare = (sets.serving() - strategy.fewest()).min(most - unhealthy);
    let mut left = spare;
    for set in sets.old.iter_mut().filter(|set| set.replicas() > 0) {
        if left <= 0 {
            break;
        }
        let n = set.replicas().min(left);
        set.resize(set.replicas() - n);
        remember(strategy, set);
        left -= n;
    }
}

/// Drops up to `most` pods of old sets that are not available; says how many.
fn drop_unhealthy(strategy: &Strategy, old: &mut [Set<'_>], most: i32) -> i32 {
    let mut dropped = 0;
    for set in old.iter_mut().filter(|set| set.replicas() > set.serving()) {
        let n = (set.replicas() - set.serving()).min(most - dropped);
        if n <= 0 {
            break;
        }
        set.resize(set.replicas() - n);
        remember(strategy, set);
        dropped += n;
    }
    dropped
}
