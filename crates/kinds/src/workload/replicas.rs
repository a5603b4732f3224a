//! Keeping a number of pods of one template: what `ReplicaSet` and `ReplicationController` have in common.
//!
//! Pods are created when there are too few and deleted, least useful first, when there are too many. Finished
//! pods and pods that are being deleted do not count.

use std::cmp::Reverse;
use std::collections::HashMap;

use api::{Blocked, EventType, LabelSelector, Plan, View};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};

use super::claim::{Held, Owner, claim, controlled};
use super::meta::Meta;
use super::pods::{self, Availability};
use super::template;

/// How many pods one plan creates or deletes at most; the next plan goes on.
pub const BURST: usize = 500;

/// What is wanted.
pub struct Wanted<'a> {
    /// Number of pods.
    pub replicas: i32,
    /// Which pods count.
    pub selector: &'a LabelSelector,
    /// What new pods look like.
    pub template: &'a PodTemplateSpec,
    /// For how long a pod has to be ready until it is available.
    pub min_ready_seconds: i32,
}

/// What the view shows of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Pods that count.
    pub replicas: i32,
    /// Pods that have all labels of the template.
    pub fully_labeled: i32,
    /// Ready pods.
    pub ready: i32,
    /// Pods that were ready for long enough.
    pub available: i32,
    /// Pods that are being deleted.
    pub terminating: i32,
    /// Whether there are as many pods as wanted.
    pub settled: bool,
}

/// Observes the pods of `owner`; `None` when some have to be adopted or released first.
pub fn observe<'a, O: Owner>(
    owner: &O,
    wanted: &Wanted<'_>,
    view: &'a View,
    plan: &mut Plan,
) -> Option<(Observed, Vec<Held<'a, Pod>>)> {
    let mine: Vec<Held<'_, Pod>> = claim(owner, wanted.selector, view, plan)?;
    let terminating = mine.iter().filter(|pod| pod.deleting() && !pods::finished(pod)).count();
    let active: Vec<Held<'_, Pod>> = mine.into_iter().filter(|pod| pods::active(pod)).collect();
    let labels = LabelSelector::from_map(wanted.template.metadata.iter().flat_map(|meta| meta.labels.iter().flatten()));
    let mut observed = Observed {
        replicas: count(active.len()),
        terminating: count(terminating),
        settled: count(active.len()) == wanted.replicas,
        ..Observed::default()
    };
    for pod in &active {
        observed.fully_labeled += i32::from(labels.matches(&pod.object.header));
        match pods::availability(pod, wanted.min_ready_seconds, view.now()) {
            Availability::NotReady => {}
            Availability::From(time) => {
                observed.ready += 1;
                plan.wake_at(time);
            }
            Availability::Available => {
                observed.ready += 1;
                observed.available += 1;
            }
        }
    }
    Some((observed, active))
}

/// Creates or deletes pods until there are as many as wanted.
///
/// # Errors
/// Never: what stops it shows when the changes are made.
pub fn manage<O: Owner>(
    owner: &O,
    wanted: &Wanted<'_>,
    active: Vec<Held<'_, Pod>>,
    view: &View,
    plan: &mut Plan,
) -> Result<(), Blocked> {
    let n_wanted = usize::try_from(wanted.replicas).unwrap_or_default();
    if active.len() < n_wanted {
        for index in 0..(n_wanted - active.len()).min(BURST) {
            let name = template::generated_name(owner, &format!("{}-", owner.name()), view, index);
            let pod = template::pod(owner, wanted.template, name);
            plan.create(&pod, "too few replicas");
            plan.event(owner, EventType::Normal, "SuccessfulCreate", format!("Created pod: {}", pod.name()));
        }
    } else if active.len() > n_wanted {
        let n_surplus = (active.len() - n_wanted).min(BURST);
        for pod in first_to_delete(owner, active, view).into_iter().take(n_surplus) {
            plan.delete(pod.object, "too many replicas");
            plan.event(owner, EventType::Normal, "SuccessfulDelete", format!("Deleted pod: {}", pod.name()));
        }
    }
    Ok(())
}

/// Pods in the order in which they go: those that do least first.
fn first_to_delete<'a, O: Owner>(owner: &O, mut active: Vec<Held<'a, Pod>>, view: &View) -> Vec<Held<'a, Pod>> {
    let crowd = crowding(owner, view);
    active.sort_by_cached_key(|pod| {
        let node = pods::node_name(pod);
        (
            !node.is_empty(),
            match pods::phase(pod) {
                "Pending" => 0,
                "Unknown" => 1,
                _ => 2,
            },
            pods::ready(pod),
            deletion_cost(pod),
            Reverse(crowd.get(node).copied().unwrap_or_default()),
            ready_rank(pod, view.now()),
            Reverse(pods::restarts(pod)),
            Reverse(pod.created()),
            pod.name().to_owned(),
        )
    });
    active
}

/// `controller.kubernetes.io/pod-deletion-cost`: cheaper pods go first.
fn deletion_cost(pod: &Pod) -> i32 {
    pod.annotation("controller.kubernetes.io/pod-deletion-cost").and_then(|cost| cost.parse().ok()).unwrap_or_default()
}

/// Ranks readiness by the magnitude of its age, so that pods of about the same age differ by what follows
/// (KEP-2185); younger pods go first.
fn ready_rank(pod: &Pod, now: Timestamp) -> u32 {
    let seconds = pods::ready_since(pod).map_or(0, |since| now.as_second().saturating_sub(since.as_second()).max(0));
    seconds.unsigned_abs().checked_ilog2().map_or(0, |log| log + 1)
}

/// Active pods per node of this owner and, below a Deployment, of its other ReplicaSets.
fn crowding<O: Owner>(owner: &O, view: &View) -> HashMap<String, usize> {
    let above = owner.metadata().owner_references.iter().flatten().find(|reference| reference.controller == Some(true));
    let mut crowd = HashMap::new();
    let mut add = |pods: Vec<Held<'_, Pod>>| {
        for pod in pods.into_iter().filter(|pod| pods::active(pod)) {
            *crowd.entry(pods::node_name(&pod).to_owned()).or_default() += 1;
        }
    };
    match above {
        Some(above) => {
            view.controlled_by::<ReplicaSet>(&above.uid).for_each(|sibling| add(controlled(sibling, view)));
        }
        None => add(controlled(owner, view)),
    }
    crowd
}

/// A number of pods as statuses have it.
pub fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}
