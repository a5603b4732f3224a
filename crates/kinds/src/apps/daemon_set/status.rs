//! What a DaemonSet reports.

use api::{Plan, View};
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetStatus};

use super::placing::Daemons;
use crate::workload::meta::Meta;
use crate::workload::pods::{self, Availability};

/// Writes the status when it differs.
pub fn report(set: &DaemonSet, daemons: &Daemons<'_>, view: &View, plan: &mut Plan) {
    let min_ready_seconds = set.spec.min_ready_seconds.unwrap_or_default();
    let mut status = DaemonSetStatus {
        observed_generation: Some(set.generation()),
        collision_count: set.status.as_ref().and_then(|status| status.collision_count),
        conditions: set.status.as_ref().and_then(|status| status.conditions.clone()),
        ..DaemonSetStatus::default()
    };
    let (mut updated, mut available) = (0, 0);
    for place in &daemons.places {
        let mut pods: Vec<_> = place.pods.iter().filter(|pod| !pods::finished(pod) || pod.deleting()).collect();
        if !place.should_run {
            status.number_misscheduled += i32::from(!pods.is_empty());
            continue;
        }
        status.desired_number_scheduled += 1;
        pods.sort_by_key(|pod| (pod.deleting(), pod.created()));
        let Some(first) = pods.first() else { continue };
        status.current_number_scheduled += 1;
        updated += i32::from(pods.iter().any(|pod| daemons.is_new(pod)));
        if pods.iter().any(|pod| pods::ready(pod)) {
            status.number_ready += 1;
        }
        let best = pods.iter().find(|pod| pods::ready(pod)).unwrap_or(first);
        match pods::availability(best, min_ready_seconds, view.now()) {
            Availability::NotReady => {}
            Availability::From(time) => plan.wake_at(time),
            Availability::Available => available += 1,
        }
    }
    let some = |count: i32| (count > 0).then_some(count);
    status.updated_number_scheduled = some(updated);
    status.number_available = some(available);
    status.number_unavailable = some(status.desired_number_scheduled - available);
    if set.status.as_ref() != Some(&status) {
        plan.update_status(&DaemonSet { status: Some(status), ..set.clone() }, "pods or nodes changed");
    }
}

/// Makes the next hash differ, because a revision that is not ours has the name of this one.
pub fn count_collision(set: &DaemonSet, plan: &mut Plan) {
    let mut status = set.status.clone().unwrap_or_default();
    status.collision_count = Some(status.collision_count.unwrap_or_default() + 1);
    plan.update_status(&DaemonSet { status: Some(status), ..set.clone() }, "the revision's name is taken");
}
