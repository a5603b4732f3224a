//! What a StatefulSet reports.

use api::{Plan, View};
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetStatus};

use super::slots::{Revisions, Slots};
use crate::workload::history::REVISION_HASH;
use crate::workload::meta::Meta;
use crate::workload::pods::{self, Availability};

/// Writes the status when it differs.
pub fn report(set: &StatefulSet, slots: &Slots<'_>, revisions: &Revisions, view: &View, plan: &mut Plan) {
    let min_ready_seconds = set.spec.min_ready_seconds.unwrap_or_default();
    let (mut replicas, mut ready, mut available, mut current, mut updated) = (0, 0, 0, 0, 0);
    for pod in slots.all().filter(|pod| !pods::finished(pod)) {
        replicas += 1;
        if pods::phase(pod) == "Running" && pods::ready(pod) {
            ready += 1;
            match pods::availability(pod, min_ready_seconds, view.now()) {
                Availability::From(time) => plan.wake_at(time),
                _ => available += 1,
            }
        }
        let revision = pod.label(REVISION_HASH);
        current += i32::from(!pod.deleting() && revision == Some(&revisions.current_name));
        updated += i32::from(!pod.deleting() && revision == Some(&revisions.update_name));
    }
    let on_delete = set.spec.update_strategy.as_ref().is_some_and(|one| one.type_.as_deref() == Some("OnDelete"));
    let complete = !on_delete && updated == replicas && ready == replicas && replicas == set.spec.replicas.unwrap_or(1);
    let current_revision = if complete { &revisions.update_name } else { &revisions.current_name };
    let some = |count: i32| (count != 0).then_some(count);
    let status = StatefulSetStatus {
        observed_generation: Some(set.generation()),
        replicas,
        ready_replicas: some(ready),
        available_replicas: Some(available),
        current_replicas: some(if complete { updated } else { current }),
        updated_replicas: some(updated),
        current_revision: Some(current_revision.clone()),
        update_revision: Some(revisions.update_name.clone()),
        collision_count: Some(set.status.as_ref().and_then(|status| status.collision_count).unwrap_or_default()),
        conditions: set.status.as_ref().and_then(|status| status.conditions.clone()),
    };
    if set.status.as_ref() != Some(&status) {
        plan.update_status(&StatefulSet { status: Some(status), ..set.clone() }, "pods changed");
    }
}

/// Makes the next hash differ, because a revision that is not ours has the name of this one.
pub fn count_collision(set: &StatefulSet, plan: &mut Plan) {
    let mut status = set.status.clone().unwrap_or_default();
    status.collision_count = Some(status.collision_count.unwrap_or_default() + 1);
    plan.update_status(&StatefulSet { status: Some(status), ..set.clone() }, "the revision's name is taken");
}
