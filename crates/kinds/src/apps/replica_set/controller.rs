//! Keeps as many pods as a ReplicaSet asks for.
//!
//! Owns pods; knows nothing of Deployments except that pods of siblings crowd a node when it chooses which to
//! delete. `ReplicaFailure` is recorded where creating fails and taken away here once the number is right.

use api::{Blocked, Controller, GroupKind, Key, LabelSelector, Object, Plan, View, Wake};
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};
use k8s_openapi::api::core::v1::Pod;

use crate::workload::meta::Meta;
use crate::workload::replicas::{self, Observed, Wanted};

/// Runs ReplicaSets.
pub const CONTROLLER: Controller<ReplicaSet> = Controller {
    name: "replicaset",
    wakes: &[Wake::Owned(GroupKind::of::<Pod>()), Wake::Map(GroupKind::of::<Pod>(), selecting)],
    plan,
};

fn plan(set: &ReplicaSet, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
    let spec = &set.spec;
    let Some(template) = &spec.template else { return Ok(()) };
    let selector = LabelSelector::from_object(&spec.selector).map_err(|why| Blocked::new("InvalidSelector", why))?;
    let wanted = Wanted {
        replicas: spec.replicas.unwrap_or(1),
        selector: &selector,
        template,
        min_ready_seconds: spec.min_ready_seconds.unwrap_or_default(),
    };
    let Some((observed, active)) = replicas::observe(set, &wanted, view, plan) else { return Ok(()) };
    let status = status(set, observed);
    if set.status.as_ref() != Some(&status) {
        plan.update_status(&ReplicaSet { status: Some(status), ..set.clone() }, "pods changed");
    }
    if set.deleting() { Ok(()) } else { replicas::manage(set, &wanted, active, view, plan) }
}

fn status(set: &ReplicaSet, observed: Observed) -> ReplicaSetStatus {
    let before = set.status.as_ref().and_then(|status| status.conditions.clone());
    let conditions = before.map(|conditions| {
        conditions
            .into_iter()
            .filter(|condition| condition.type_.as_deref() != Some("ReplicaFailure") || !observed.settled)
            .collect::<Vec<_>>()
    });
    ReplicaSetStatus {
        replicas: observed.replicas,
        fully_labeled_replicas: some(observed.fully_labeled),
        ready_replicas: some(observed.ready),
        available_replicas: some(observed.available),
        terminating_replicas: Some(observed.terminating),
        observed_generation: Some(set.generation()),
        conditions: conditions.filter(|conditions| !conditions.is_empty()),
    }
}

/// Zero is left out, as Kubernetes leaves it out.
fn some(n: i32) -> Option<i32> {
    (n != 0).then_some(n)
}

/// ReplicaSets that may adopt an orphan.
fn selecting(pod: &Object, view: &View) -> Vec<Key> {
    let header = &pod.header;
    if header.controller().is_some() || header.labels.is_empty() {
        return Vec::new();
    }
    let selects = |set: &ReplicaSet| {
        let selector = LabelSelector::from_object(&set.spec.selector);
        selector.is_ok_and(|selector| !selector.is_everything() && selector.matches(header))
    };
    view.objects_in(view.catalogue().id_of::<ReplicaSet>(), &header.key.namespace)
        .filter(|object| object.typed().is_some_and(selects))
        .map(|object| object.header.key.clone())
        .collect()
}
