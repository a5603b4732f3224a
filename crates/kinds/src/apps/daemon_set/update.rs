//! The rolling update of a DaemonSet: old pods are replaced while at most `maxUnavailable` nodes go without an
//! available pod, or, with `maxSurge`, new pods come up beside old ones first.

use api::{Plan, View};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;

use super::controller;
use super::placing::{Daemons, Place};
use crate::workload::claim::Held;
use crate::workload::fraction::{self, Round};
use crate::workload::meta::Meta;
use crate::workload::pods::{self, Availability};
use crate::workload::replicas::count;

/// How many nodes may have two pods during an update.
pub fn max_surge(set: &DaemonSet, daemons: &Daemons<'_>) -> i32 {
    let strategy = set.spec.update_strategy.as_ref();
    if strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("OnDelete")) {
        return 0;
    }
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    fraction::of_total(rolling.and_then(|rolling| rolling.max_surge.as_ref()), 0, wanted(daemons), Round::Up)
}

fn max_unavailable(set: &DaemonSet, daemons: &Daemons<'_>) -> i32 {
    let rolling = set.spec.update_strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
    let amount = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
    fraction::of_total(amount, 1, wanted(daemons), Round::Up)
}

fn wanted(daemons: &Daemons<'_>) -> i32 {
    count(daemons.places.iter().filter(|place| place.should_run).count())
}

/// One step of a rolling update.
pub fn roll(set: &DaemonSet, daemons: &Daemons<'_>, view: &View, plan: &mut Plan) {
    let strategy = set.spec.update_strategy.as_ref();
    if strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("OnDelete")) {
        return;
    }
    match max_surge(set, daemons) {
        0 => replace(set, daemons, view, plan),
        surge => surge_first(set, daemons, surge, view, plan),
    }
}

/// The pods of one node that are not being deleted.
struct Pair<'p, 'a> {
    node: &'a str,
    new: Option<&'p Held<'a, Pod>>,
    old: Option<&'p Held<'a, Pod>>,
}

fn pairs<'p, 'a>(daemons: &'p Daemons<'a>) -> impl Iterator<Item = Pair<'p, 'a>> {
    daemons.places.iter().filter(|place| place.may_stay).map(|place: &Place<'a>| {
        let find = |new: bool| place.pods.iter().find(|pod| !pod.deleting() && daemons.is_new(pod) == new);
        Pair { node: place.node, new: find(true), old: find(false) }
    })
}

fn available(set: &DaemonSet, pod: &Pod, view: &View) -> bool {
    let min_ready_seconds = set.spec.min_ready_seconds.unwrap_or_default();
    pods::availability(pod, min_ready_seconds, view.now()) == Availability::Available
}

/// Deletes old pods; the next plan creates new ones in their place.
fn replace(set: &DaemonSet, daemons: &Daemons<'_>, view: &View, plan: &mut Plan) {
    let mut n_unavailable = 0;
    let mut candidates = Vec::new();
    for pair in pairs(daemons) {
        match (pair.new, pair.old) {
            (Some(new), None) if available(set, new, view) => {}
            (None, Some(old)) if available(set, old, view) => candidates.push(old),
            (None, Some(old)) => {
                // It serves nobody: replacing it costs nothing.
                n_unavailable += 1;
                controller::delete(set, old, "its template is outdated and it is not available", plan);
            }
            _ => n_unavailable += 1,
        }
    }
    let n_may_go = max_unavailable(set, daemons) - n_unavailable;
    for old in candidates.into_iter().take(usize::try_from(n_may_go).unwrap_or_default()) {
        controller::delete(set, old, "its template is outdated", plan);
    }
}

/// Creates new pods beside old ones and deletes old ones once the new are available.
fn surge_first(set: &DaemonSet, daemons: &Daemons<'_>, surge: i32, view: &View, plan: &mut Plan) {
    let mut n_surging = 0;
    let mut candidates = Vec::new();
    for pair in pairs(daemons) {
        match (pair.new, pair.old) {
            (Some(new), Some(old)) if available(set, new, view) => {
                controller::delete(set, old, "its successor is available", plan);
            }
            (Some(_), Some(_)) => n_surging += 1,
            (None, Some(old)) if available(set, old, view) => candidates.push(pair.node),
            (None, Some(old)) => {
                controller::delete(set, old, "its template is outdated and it is not available", plan);
            }
            _ => {}
        }
    }
    let n_may_come = usize::try_from(surge - n_surging).unwrap_or_default();
    candidates.truncate(n_may_come);
    controller::create(set, daemons, candidates, view, plan);
}
