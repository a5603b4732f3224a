//! Runs the pods of a StatefulSet: numbered, each with its own name, host name and volume claims.
//!
//! `OrderedReady` makes one step at a time: a pod comes only when all before it are available, and goes only when
//! all after it are gone. `Parallel` does not wait. An update replaces pods from the highest number down to the
//! partition. Owns pods and ControllerRevisions, and creates claims, which outlive it.
//! Deliberately absent: `persistentVolumeClaimRetentionPolicy` other than `Retain`.

use api::{Blocked, Controller, EventType, GroupKind, Key, LabelSelector, Object, Plan, View, Wake};
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};

use super::identity;
use super::slots::{Revisions, Slots};
use super::status;
use crate::workload::claim;
use crate::workload::fraction::{self, Round};
use crate::workload::history::{self, Kept};
use crate::workload::meta::Meta;
use crate::workload::pods::{self, Availability};

/// Runs StatefulSets.
pub const CONTROLLER: Controller<StatefulSet> = Controller {
    name: "statefulset",
    wakes: &[
        Wake::Owned(GroupKind::of::<Pod>()),
        Wake::Owned(GroupKind::of::<ControllerRevision>()),
        Wake::Map(GroupKind::of::<Pod>(), selecting),
    ],
    plan,
};

fn plan(set: &StatefulSet, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
    let spec = &set.spec;
    let selector = LabelSelector::from_object(&spec.selector).map_err(|why| Blocked::new("InvalidSelector", why))?;
    let Some(held) = claim::claim::<_, Pod>(set, &selector, view, plan) else { return Ok(()) };
    let wanted = history::Wanted {
        template: &spec.template,
        collisions: set.status.as_ref().and_then(|status| status.collision_count),
        selector: &selector,
        hash_label: history::HASH,
    };
    let history = match history::keep(set, &wanted, view, plan) {
        Kept::Current(history) => history,
        Kept::Changing => return Ok(()),
        Kept::Collision => {
            status::count_collision(set, plan);
            return Ok(());
        }
    };
    let revisions = Revisions::of(set, &history);
    let slots = Slots::new(set, held.clone());
    status::report(set, &slots, &revisions, view, plan);
    if set.deleting() {
        return Ok(());
    }
    Steps { set, slots: &slots, revisions: &revisions, view }.take(plan);
    let live = |revision: &ControllerRevision| {
        revision.name() == revisions.current_name
            || held.iter().any(|pod| pod.label(history::REVISION_HASH) == Some(revision.name()))
    };
    history.forget_old(spec.revision_history_limit, live, plan);
    Ok(())
}

/// What one plan has to go by.
struct Steps<'s> {
    set: &'s StatefulSet,
    slots: &'s Slots<'s>,
    revisions: &'s Revisions,
    view: &'s View,
}

impl Steps<'_> {
    fn ordered(&self) -> bool {
        self.set.spec.pod_management_policy.as_deref() != Some("Parallel")
    }

    fn available(&self, pod: &Pod) -> bool {
        let min_ready_seconds = self.set.spec.min_ready_seconds.unwrap_or_default();
        pods::phase(pod) == "Running"
            && pods::availability(pod, min_ready_seconds, self.view.now()) == Availability::Available
    }

    fn take(&self, plan: &mut Plan) {
        if self.fill(plan) && self.condemn(plan) {
            self.update(plan);
        }
    }

    /// Creates missing pods and replaces finished ones; `false` when the next step has to wait.
    fn fill(&self, plan: &mut Plan) -> bool {
        let mut complete = true;
        for (ordinal, slot) in self.slots.wanted() {
            match slot {
                None => {
                    self.create(ordinal, plan);
                    complete = false;
                }
                Some(pod) if pods::finished(pod) && !pod.deleting() => {
                    let how = if pods::phase(pod) == "Failed" { "failed" } else { "terminated" };
                    let message = format!(
                        "StatefulSet {}/{} is recreating {how} Pod {}",
                        self.set.namespace(),
                        self.set.name(),
                        pod.name()
                    );
                    let reason = if how == "failed" { "RecreatingFailedPod" } else { "RecreatingTerminatedPod" };
                    plan.event(self.set, EventType::Warning, reason, message);
                    self.delete(pod, "the pod has finished and is to run", plan);
                    complete = false;
                }
                Some(pod) => {
                    if pods::phase(pod) == "Pending" {
                        self.create_claims(ordinal, plan);
                    }
                    complete &= !pod.deleting() && self.available(pod);
                }
            }
            if !complete && self.ordered() {
                return false;
            }
        }
        // Without an order an update goes on while pods are missing or not available; `update` counts them.
        true
    }

    /// Deletes pods beyond the wanted number, the highest first; `false` when there are any.
    fn condemn(&self, plan: &mut Plan) -> bool {
        let condemned = self.slots.condemned();
        for pod in &condemned {
            if !pod.deleting() {
                self.delete(pod, "beyond the wanted replicas", plan);
            }
            if self.ordered() {
                break;
            }
        }
        condemned.is_empty()
    }

    /// Replaces pods of other revisions than the update revision, the highest first.
    fn update(&self, plan: &mut Plan) {
        let strategy = self.set.spec.update_strategy.as_ref();
        if strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("OnDelete")) {
            return;
        }
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let partition = rolling.and_then(|rolling| rolling.partition).unwrap_or_default();
        let amount = rolling.and_then(|rolling| rolling.max_unavailable.as_ref());
        let replicas = self.set.spec.replicas.unwrap_or(1);
        let mut may_go = fraction::of_total(amount, 1, replicas, Round::Up).max(1);
        for (_, slot) in self.slots.wanted().rev() {
            may_go -= i32::from(slot.is_none_or(|pod| pod.deleting() || !self.available(pod)));
        }
        let from = identity::start(self.set) + partition;
        for (ordinal, slot) in self.slots.wanted().rev().filter(|(ordinal, _)| *ordinal >= from) {
            let Some(pod) = slot else { continue };
            let outdated = !pod.deleting() && pod.label(history::REVISION_HASH) != Some(&self.revisions.update_name);
            if outdated && !self.available(pod) {
                self.delete(pod, "its revision is outdated and it is not available", plan);
            } else if outdated && may_go > 0 {
                may_go -= 1;
                self.delete(pod, format!("revision of ordinal {ordinal} is outdated"), plan);
            } else if !outdated && !self.available(pod) {
                return; // The update waits for the pod that it made last.
            }
        }
    }

    fn create(&self, ordinal: i32, plan: &mut Plan) {
        self.create_claims(ordinal, plan);
        let pod = self.revisions.pod(self.set, ordinal);
        plan.create(&pod, format!("ordinal {ordinal} has no pod"));
        let message = format!("create Pod {} in StatefulSet {} successful", pod.name(), self.set.name());
        plan.event(self.set, EventType::Normal, "SuccessfulCreate", message);
    }

    fn create_claims(&self, ordinal: i32, plan: &mut Plan) {
        for claim in identity::claims(self.set, ordinal) {
            if self.view.get::<PersistentVolumeClaim>(self.set.namespace(), claim.name()).is_some() {
                continue;
            }
            let message = format!(
                "create Claim {} Pod {} in StatefulSet {} success",
                claim.name(),
                identity::pod_name(self.set, ordinal),
                self.set.name()
            );
            plan.create(&claim, "the pod needs this claim");
            plan.event(self.set, EventType::Normal, "SuccessfulCreate", message);
        }
    }

    fn delete(&self, pod: &claim::Held<'_, Pod>, reason: impl Into<String>, plan: &mut Plan) {
        plan.delete(pod.object, reason);
        let message = format!("delete Pod {} in StatefulSet {} successful", pod.name(), self.set.name());
        plan.event(self.set, EventType::Normal, "SuccessfulDelete", message);
    }
}

/// StatefulSets that may adopt an orphan.
fn selecting(pod: &Object, view: &View) -> Vec<Key> {
    let header = &pod.header;
    if header.controller().is_some() || header.labels.is_empty() {
        return Vec::new();
    }
    let selects = |set: &StatefulSet| {
        let selector = LabelSelector::from_object(&set.spec.selector);
        selector.is_ok_and(|selector| !selector.is_everything() && selector.matches(header))
    };
    view.objects_in(view.catalogue().id_of::<StatefulSet>(), &header.key.namespace)
        .filter(|object| object.typed().is_some_and(selects))
        .map(|object| object.header.key.clone())
        .collect()
}
