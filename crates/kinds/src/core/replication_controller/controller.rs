//! Keeps as many pods as a ReplicationController asks for: a ReplicaSet with a simpler selector.

use api::{Blocked, Controller, GroupKind, Key, LabelSelector, Object, Plan, View, Wake};
use k8s_openapi::api::core::v1::{Pod, ReplicationController, ReplicationControllerStatus};

use crate::workload::meta::Meta;
use crate::workload::replicas::{self, Wanted};

/// Runs ReplicationControllers.
pub const CONTROLLER: Controller<ReplicationController> = Controller {
    name: "replication",
    wakes: &[Wake::Owned(GroupKind::of::<Pod>()), Wake::Map(GroupKind::of::<Pod>(), selecting)],
    plan,
};

fn plan(controller: &ReplicationController, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
    let Some(spec) = &controller.spec else { return Ok(()) };
    let Some(template) = &spec.template else { return Ok(()) };
    let selector = LabelSelector::from_map(spec.selector.iter().flatten());
    let wanted = Wanted {
        replicas: spec.replicas.unwrap_or(1),
        selector: &selector,
        template,
        min_ready_seconds: spec.min_ready_seconds.unwrap_or_default(),
    };
    let Some((observed, active)) = replicas::observe(controller, &wanted, view, plan) else { return Ok(()) };
    let some = |n: i32| (n != 0).then_some(n);
    let before = controller.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let kept: Vec<_> =
        before.into_iter().filter(|condition| condition.type_ != "ReplicaFailure" || !observed.settled).collect();
    let status = ReplicationControllerStatus {
        replicas: observed.replicas,
        fully_labeled_replicas: some(observed.fully_labeled),
        ready_replicas: some(observed.ready),
        available_replicas: some(observed.available),
        observed_generation: Some(controller.generation()),
        conditions: (!kept.is_empty()).then_some(kept),
    };
    if controller.status.as_ref() != Some(&status) {
        plan.update_status(&ReplicationController { status: Some(status), ..controller.clone() }, "pods changed");
    }
    if controller.deleting() { Ok(()) } else { replicas::manage(controller, &wanted, active, view, plan) }
}

/// ReplicationControllers that may adopt an orphan.
fn selecting(pod: &Object, view: &View) -> Vec<Key> {
    let header = &pod.header;
    if header.controller().is_some() || header.labels.is_empty() {
        return Vec::new();
    }
    let selects = |controller: &ReplicationController| {
        let selector = controller.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        selector.is_some_and(|map| !map.is_empty() && LabelSelector::from_map(map).matches(header))
    };
    view.objects_in(view.catalogue().id_of::<ReplicationController>(), &header.key.namespace)
        .filter(|object| object.typed().is_some_and(selects))
        .map(|object| object.header.key.clone())
        .collect()
}
