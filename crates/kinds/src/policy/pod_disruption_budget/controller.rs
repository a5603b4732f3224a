//! Reports how many pods of a budget may be away on purpose. Refusing evictions is the server's part.

use std::collections::BTreeMap;

use api::{Blocked, Controller, EventType, GroupKind, Key, LabelSelector, Object, Plan, View, Wake};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::workload::fraction::{self, Round};
use crate::workload::meta::Meta;
use crate::workload::pods;
use crate::workload::replicas::count;

/// How long a pod that was allowed to go may take to be deleted before it counts again, in seconds.
const DELETION_TIMEOUT_SECONDS: i64 = 120;

/// Reports budgets.
pub const CONTROLLER: Controller<PodDisruptionBudget> =
    Controller { name: "disruption", wakes: &[Wake::Map(GroupKind::of::<Pod>(), budgets_of)], plan };

fn plan(budget: &PodDisruptionBudget, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
    let Some(spec) = &budget.spec else { return Ok(()) };
    let Some(selector) = &spec.selector else { return Ok(()) };
    let selector = LabelSelector::from_object(selector).map_err(|why| Blocked::new("InvalidSelector", why))?;
    let selected: Vec<&Pod> = view
        .objects_in(view.catalogue().id_of::<Pod>(), budget.namespace())
        .filter(|object| selector.matches(&object.header))
        .filter_map(|object| object.typed())
        .collect();
    if selected.is_empty() && budget.status.is_none() {
        plan.event(budget, EventType::Normal, "NoPods", "No matching pods found");
    }
    let disrupted = disrupted(budget, &selected, view, plan);
    let healthy =
        selected.iter().filter(|pod| pods::ready(pod) && !pod.deleting() && !disrupted.contains_key(pod.name()));
    let current_healthy = count(healthy.count());
    let pods = count(selected.iter().filter(|pod| !pods::finished(pod)).count());
    let (expected, desired) = match (&spec.max_unavailable, &spec.min_available) {
        (Some(most), _) => {
            let expected = expected(&selected, view);
            let away = fraction::of_total(Some(most), 0, expected, Round::Up);
            (expected, (expected - away).max(0))
        }
        (None, Some(IntOrString::Int(least))) => (pods, *least),
        (None, least) => {
            let expected = expected(&selected, view);
            (expected, fraction::of_total(least.as_ref(), 1, expected, Round::Up))
        }
    };
    let allowed = if expected > 0 { (current_healthy - desired).max(0) } else { 0 };
    let status = PodDisruptionBudgetStatus {
        current_healthy: Some(current_healthy),
        desired_healthy: Some(desired),
        disruptions_allowed: Some(allowed),
        expected_pods: Some(expected),
        observed_generation: Some(budget.generation()),
        conditions: Some(vec![condition(budget, allowed > 0, view)]),
        disrupted_pods: (!disrupted.is_empty()).then_some(disrupted),
    };
    if budget.status.as_ref() != Some(&status) {
        plan.update_status(&PodDisruptionBudget { status: Some(status), ..budget.clone() }, "pods changed");
    }
    Ok(())
}

/// Pods that were allowed to go and are still there.
fn disrupted(budget: &PodDisruptionBudget, selected: &[&Pod], view: &View, plan: &mut Plan) -> BTreeMap<String, Time> {
    let mut disrupted = budget.status.as_ref().and_then(|status| status.disrupted_pods.clone()).unwrap_or_default();
    disrupted.retain(|name, since| {
        let expires = pods::later(since.0, DELETION_TIMEOUT_SECONDS);
        let waits = view.now() < expires && selected.iter().any(|pod| pod.name() == name && !pod.deleting());
        if waits {
            plan.wake_at(expires);
        }
        waits
    });
    disrupted
}

/// How many pods the controllers of the selected pods want.
fn expected(selected: &[&Pod], view: &View) -> i32 {
    let mut by_controller: BTreeMap<&str, i32> = BTreeMap::new();
    for pod in selected {
        let owners = pod.metadata.owner_references.iter().flatten();
        let Some(owner) = owners.into_iter().find(|owner| owner.controller == Some(true)) else { continue };
        let namespace = pod.namespace();
        let replicas = match owner.kind.as_str() {
            "ReplicaSet" => view.get::<ReplicaSet>(namespace, &owner.name).map(|set| replicas_of_set(set, view)),
            "StatefulSet" => view.get::<StatefulSet>(namespace, &owner.name).map(|set| set.spec.replicas.unwrap_or(1)),
            "ReplicationController" => view
                .get::<ReplicationController>(namespace, &owner.name)
                .map(|one| one.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)),
            _ => None,
        };
        by_controller.insert(&owner.uid, replicas.unwrap_or(1));
    }
    by_controller.values().sum()
}

/// The replicas of a ReplicaSet; below a Deployment its sets share the Deployment's number.
fn replicas_of_set(set: &ReplicaSet, view: &View) -> i32 {
    let owner = set.metadata.owner_references.iter().flatten().find(|owner| owner.kind == "Deployment");
    let deployment = owner.and_then(|owner| view.get::<Deployment>(set.namespace(), &owner.name));
    match deployment {
        // Old sets of a rollout would count the Deployment again: only the set with most pods stands for it.
        Some(deployment) => {
            let of = |set: &ReplicaSet| (set.spec.replicas.unwrap_or(1), set.uid().to_owned());
            let largest = view.controlled_by::<ReplicaSet>(deployment.uid()).map(of).max();
            if largest.is_some_and(|(_, uid)| uid == set.uid()) { deployment.spec.replicas.unwrap_or(1) } else { 0 }
        }
        None => set.spec.replicas.unwrap_or(1),
    }
}

fn condition(budget: &PodDisruptionBudget, allowed: bool, view: &View) -> Condition {
    let (status, reason) = if allowed { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let before = budget.status.as_ref().and_then(|status| status.conditions.as_ref()).into_iter().flatten();
    let same = before.into_iter().find(|one| one.type_ == "DisruptionAllowed" && one.status == status);
    Condition {
        type_: "DisruptionAllowed".to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: String::new(),
        last_transition_time: same.map_or_else(|| Time(view.now()), |one| one.last_transition_time.clone()),
        observed_generation: Some(budget.generation()),
    }
}

/// Budgets that select a pod.
fn budgets_of(pod: &Object, view: &View) -> Vec<Key> {
    let budgets = view.catalogue().id_of::<PodDisruptionBudget>();
    if view.n_objects(budgets) == 0 {
        return Vec::new();
    }
    let selects = |budget: &PodDisruptionBudget| {
        let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let selector = selector.and_then(|selector| LabelSelector::from_object(selector).ok());
        selector.is_some_and(|selector| selector.matches(&pod.header))
    };
    view.objects_in(budgets, &pod.header.key.namespace)
        .filter(|object| object.typed().is_some_and(selects))
        .map(|object| object.header.key.clone())
        .collect()
}
