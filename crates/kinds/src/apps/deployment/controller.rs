//! Rolls a Deployment from its old pod template to its new one.
//!
//! Owns ReplicaSets and resizes them; never touches a pod. The flow is here, the arithmetic in `rollout` and
//! `scaling`, what is remembered on objects in `revision`, what is reported in `status`.
//! Invariant: a plan writes each object at most once, so that no change of it makes another one stale.

use api::{Blocked, Controller, GroupKind, Key, LabelSelector, Object, Plan, View, Wake};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

use super::sets::Sets;
use super::strategy::Strategy;
use super::{revision, rollout, scaling, status};
use crate::workload::claim;
use crate::workload::meta::Meta;

/// Runs Deployments.
pub const CONTROLLER: Controller<Deployment> = Controller {
    name: "deployment",
    wakes: &[Wake::Owned(GroupKind::of::<ReplicaSet>()), Wake::Map(GroupKind::of::<ReplicaSet>(), selecting)],
    plan,
};

fn plan(deployment: &Deployment, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
    let spec = &deployment.spec;
    let selector = LabelSelector::from_object(&spec.selector).map_err(|why| Blocked::new("InvalidSelector", why))?;
    let Some(held) = claim::claim(deployment, &selector, view, plan) else { return Ok(()) };
    let strategy = Strategy::of(spec);
    let mut sets = Sets::new(deployment, held, view);
    if deployment.deleting() {
        status::report(deployment, &strategy, &sets, view, plan);
        return Ok(());
    }
    revision::keep(deployment, &mut sets);
    if revision::number(deployment, &sets, plan) {
        return Ok(()); // The status is written at the revision that this change makes.
    }
    if spec.paused == Some(true) || scaling::wanted(&strategy, &sets) {
        scaling::scale(&strategy, &mut sets);
    } else if !make_new_set(deployment, &strategy, &mut sets, view, plan) {
        return Ok(());
    } else if strategy.recreate {
        rollout::recreate(&strategy, &mut sets, view);
    } else {
        rollout::rolling(&strategy, &mut sets);
    }
    sets.write(deployment, plan);
    if spec.paused == Some(true) || status::complete(deployment, &strategy, &sets) {
        revision::forget_old(deployment, &sets, plan);
    }
    status::report(deployment, &strategy, &sets, view, plan);
    Ok(())
}

/// Sees to it that there is a ReplicaSet of the current template; `false` when its name turned out to be taken.
fn make_new_set(
    deployment: &Deployment,
    strategy: &Strategy,
    sets: &mut Sets<'_>,
    view: &View,
    plan: &mut Plan,
) -> bool {
    if sets.new.is_some() || (strategy.recreate && !rollout::old_pods_gone(sets, view)) {
        return true;
    }
    let made = revision::new_set(deployment, strategy, sets);
    if view.get::<ReplicaSet>(deployment.namespace(), made.name()).is_some() {
        status::count_collision(deployment, plan);
        return false;
    }
    sets.create(deployment, made, plan);
    true
}

/// Deployments that may adopt an orphaned ReplicaSet.
fn selecting(set: &Object, view: &View) -> Vec<Key> {
    let header = &set.header;
    if header.controller().is_some() || header.labels.is_empty() {
        return Vec::new();
    }
    let selects = |deployment: &Deployment| {
        let selector = LabelSelector::from_object(&deployment.spec.selector);
        selector.is_ok_and(|selector| !selector.is_everything() && selector.matches(header))
    };
    view.objects_in(view.catalogue().id_of::<Deployment>(), &header.key.namespace)
        .filter(|object| object.typed().is_some_and(selects))
        .map(|object| object.header.key.clone())
        .collect()
}
