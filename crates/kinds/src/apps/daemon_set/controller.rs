//! Runs one pod of a DaemonSet on every node that should have one.
//!
//! Pods get their node by a node affinity and are bound by the scheduler like any other. Owns pods and
//! ControllerRevisions. Which nodes count is in `placing`, the rolling update in `update`.

use api::{Blocked, Change, Controller, EventType, GroupKind, Key, LabelSelector, Object, Plan, View, Wake};
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::{Node, Pod};

use super::placing::{self, Daemons};
use super::{status, update};
use crate::workload::claim::{self, Held};
use crate::workload::history::{self, Kept};
use crate::workload::meta::Meta;
use crate::workload::replicas::BURST;
use crate::workload::{pods, template};

/// Runs DaemonSets.
pub const CONTROLLER: Controller<DaemonSet> = Controller {
    name: "daemonset",
    wakes: &[
        Wake::Owned(GroupKind::of::<Pod>()),
        Wake::Owned(GroupKind::of::<ControllerRevision>()),
        Wake::Map(GroupKind::of::<Pod>(), selecting),
        Wake::Map(GroupKind::of::<Node>(), all),
    ],
    plan,
};

fn plan(set: &DaemonSet, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
    let spec = &set.spec;
    let selector = LabelSelector::from_object(&spec.selector).map_err(|why| Blocked::new("InvalidSelector", why))?;
    let Some(held): Option<Vec<Held<'_, Pod>>> = claim::claim(set, &selector, view, plan) else { return Ok(()) };
    let wanted = history::Wanted {
        template: &spec.template,
        collisions: set.status.as_ref().and_then(|status| status.collision_count),
        selector: &selector,
        hash_label: history::REVISION_HASH,
    };
    let history = match history::keep(set, &wanted, view, plan) {
        Kept::Current(history) => history,
        Kept::Changing => return Ok(()),
        Kept::Collision => {
            status::count_collision(set, plan);
            return Ok(());
        }
    };
    let hash = history.current.map_or("", |current| history::hash_of(current.typed, history::REVISION_HASH));
    let live = |revision: &ControllerRevision| {
        let hash = history::hash_of(revision, history::REVISION_HASH);
        held.iter().any(|pod| pod.label(history::REVISION_HASH) == Some(hash))
    };
    let daemons = Daemons::new(set, hash, &held, view);
    status::report(set, &daemons, view, plan);
    if set.deleting() {
        return Ok(());
    }
    if !place(set, &daemons, view, plan) {
        update::roll(set, &daemons, view, plan);
    }
    history.forget_old(spec.revision_history_limit, live, plan);
    Ok(())
}

/// Creates missing pods and deletes those that are too many; says whether there were any.
fn place(set: &DaemonSet, daemons: &Daemons<'_>, view: &View, plan: &mut Plan) -> bool {
    let before = plan.changes.len();
    let mut missing = Vec::new();
    for place in &daemons.places {
        let failed = place.pods.iter().filter(|pod| pods::phase(pod) == "Failed" && !pod.deleting());
        for pod in failed.clone() {
            let message = format!(
                "Found failed daemon pod {}/{} on node {}, will try to kill it",
                pod.namespace(),
                pod.name(),
                place.node
            );
            plan.event(set, EventType::Warning, "FailedDaemonPod", message);
            delete(set, pod, "the pod failed", plan);
        }
        let running: Vec<&Held<'_, Pod>> = place.pods.iter().filter(|pod| pods::phase(pod) != "Failed").collect();
        if place.pods.is_empty() && place.should_run {
            missing.push(place.node);
        } else if !place.may_stay {
            let gone = running.iter().filter(|pod| !pod.deleting());
            gone.for_each(|pod| delete(set, pod, "the node should not run it", plan));
        } else if update::max_surge(set, daemons) == 0 {
            // Without a surge one pod is enough: the oldest that has its node.
            let mut kept: Vec<_> = running.into_iter().filter(|pod| !pod.deleting()).collect();
            kept.sort_by_key(|pod| (pods::node_name(pod).is_empty(), pod.created(), pod.name().to_owned()));
            kept.into_iter().skip(1).for_each(|pod| delete(set, pod, "the node has another one", plan));
        }
    }
    create(set, daemons, missing, view, plan);
    plan.changes.len() > before
}

/// Creates a pod for each of `nodes`.
pub(super) fn create(set: &DaemonSet, daemons: &Daemons<'_>, nodes: Vec<&str>, view: &View, plan: &mut Plan) {
    for (index, node) in nodes.into_iter().take(BURST).enumerate() {
        let name = template::generated_name(set, &format!("{}-", set.name()), view, index);
        let mut pod = template::pod(set, &set.spec.template, name);
        let labels = pod.metadata.labels.get_or_insert_default();
        labels.insert(history::REVISION_HASH.to_owned(), daemons.hash.to_owned());
        labels.insert("pod-template-generation".to_owned(), placing::template_generation(set));
        placing::aim(pod.spec.get_or_insert_default(), node);
        plan.create(&pod, format!("node {node} has no pod of it"));
        plan.event(set, EventType::Normal, "SuccessfulCreate", format!("Created pod: {}", pod.name()));
    }
}

/// Deletes a pod.
pub(super) fn delete(set: &DaemonSet, pod: &Held<'_, Pod>, reason: &str, plan: &mut Plan) {
    let same = |change: &Change| matches!(change, Change::Delete { key, .. } if *key == pod.object.header.key);
    if plan.changes.iter().any(|(change, _)| same(change)) {
        return;
    }
    plan.delete(pod.object, reason);
    plan.event(set, EventType::Normal, "SuccessfulDelete", format!("Deleted pod: {}", pod.name()));
}

/// DaemonSets that may adopt an orphan.
fn selecting(pod: &Object, view: &View) -> Vec<Key> {
    let header = &pod.header;
    if header.controller().is_some() || header.labels.is_empty() {
        return Vec::new();
    }
    let selects = |set: &DaemonSet| {
        let selector = LabelSelector::from_object(&set.spec.selector);
        selector.is_ok_and(|selector| !selector.is_everything() && selector.matches(header))
    };
    view.objects_in(view.catalogue().id_of::<DaemonSet>(), &header.key.namespace)
        .filter(|object| object.typed().is_some_and(selects))
        .map(|object| object.header.key.clone())
        .collect()
}

/// Every DaemonSet: a node concerns them all.
fn all(_: &Object, view: &View) -> Vec<Key> {
    view.objects(view.catalogue().id_of::<DaemonSet>()).map(|object| object.header.key.clone()).collect()
}
