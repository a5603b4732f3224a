//! What a Deployment reports: counts, and the conditions `Available`, `Progressing` and `ReplicaFailure`.

use api::{Plan, View};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::sets::{Set, Sets};
use super::strategy::Strategy;
use crate::workload::meta::Meta;
use crate::workload::pods::later;

/// Progress has no deadline from this number of seconds on.
const NO_DEADLINE: i32 = i32::MAX;

/// Writes the status when it differs, and asks to look again when the progress deadline passes.
pub fn report(deployment: &Deployment, strategy: &Strategy, sets: &Sets<'_>, view: &View, plan: &mut Plan) {
    let now = view.now();
    let mut status = counts(deployment, sets);
    let mut conditions = Conditions { list: status.conditions.take().unwrap_or_default(), now };
    available(&status, strategy, &mut conditions);
    if deployment.deleting() {
        // What is going makes no progress and fails at nothing.
    } else {
        progressing(deployment, strategy, &status, sets, &mut conditions, plan);
    }
    replica_failure(sets, &mut conditions);
    status.conditions = (!conditions.list.is_empty()).then_some(conditions.list);
    if deployment.status.as_ref() != Some(&status) {
        plan.update_status(&Deployment { status: Some(status), ..deployment.clone() }, "replica sets changed");
    }
}

/// Makes the next hash differ, because a ReplicaSet that is not ours has the name of this one.
pub fn count_collision(deployment: &Deployment, plan: &mut Plan) {
    let mut status = deployment.status.clone().unwrap_or_default();
    status.collision_count = Some(status.collision_count.unwrap_or_default() + 1);
    plan.update_status(&Deployment { status: Some(status), ..deployment.clone() }, "the new set's name is taken");
}

/// Whether the rollout is over: only pods of the current template, all available.
pub fn complete(deployment: &Deployment, strategy: &Strategy, sets: &Sets<'_>) -> bool {
    is_complete(&counts(deployment, sets), strategy)
}

fn is_complete(status: &DeploymentStatus, strategy: &Strategy) -> bool {
    [status.updated_replicas, status.replicas, status.available_replicas]
        .into_iter()
        .all(|count| count.unwrap_or_default() == strategy.replicas)
}

fn counts(deployment: &Deployment, sets: &Sets<'_>) -> DeploymentStatus {
    let some = |count: i32| (count != 0).then_some(count);
    let available = sets.available();
    let before = deployment.status.as_ref();
    DeploymentStatus {
        observed_generation: Some(deployment.generation()),
        replicas: some(sets.all().map(Set::observed).sum()),
        updated_replicas: some(sets.new.as_ref().map_or(0, Set::observed)),
        ready_replicas: some(sets.all().map(Set::ready).sum()),
        available_replicas: some(available),
        unavailable_replicas: some((sets.replicas() - available).max(0)),
        terminating_replicas: Some(sets.all().map(Set::terminating).sum()),
        collision_count: before.and_then(|status| status.collision_count),
        conditions: before.and_then(|status| status.conditions.clone()),
    }
}

fn available(status: &DeploymentStatus, strategy: &Strategy, conditions: &mut Conditions) {
    if status.available_replicas.unwrap_or_default() >= strategy.fewest() {
        let message = "Deployment has minimum availability.";
        conditions.set("Available", "True", "MinimumReplicasAvailable", message);
    } else {
        let message = "Deployment does not have minimum availability.";
        conditions.set("Available", "False", "MinimumReplicasUnavailable", message);
    }
}

fn replica_failure(sets: &Sets<'_>, conditions: &mut Conditions) {
    let failure = |set: &Set<'_>| {
        let list = set.wanted.status.as_ref().and_then(|status| status.conditions.as_ref());
        list.into_iter()
            .flatten()
            .find(|condition| {
                condition.type_.as_deref() == Some("ReplicaFailure") && condition.status.as_deref() == Some("True")
            })
            .map(|condition| {
                let text = |text: &Option<String>| text.clone().unwrap_or_default();
                (text(&condition.reason), text(&condition.message))
            })
    };
    match sets.new.iter().chain(&sets.old).find_map(failure) {
        Some((reason, message)) => conditions.set("ReplicaFailure", "True", &reason, &message),
        None => conditions.remove("ReplicaFailure"),
    }
}

fn progressing(
    deployment: &Deployment,
    strategy: &Strategy,
    status: &DeploymentStatus,
    sets: &Sets<'_>,
    conditions: &mut Conditions,
    plan: &mut Plan,
) {
    let spec = &deployment.spec;
    let Some(deadline) = spec.progress_deadline_seconds.filter(|seconds| *seconds != NO_DEADLINE) else {
        conditions.remove("Progressing");
        return;
    };
    let reason = conditions.reason("Progressing").to_owned();
    if spec.paused == Some(true) {
        // A rollout that timed out stays so: pausing is no progress.
        if reason != "ProgressDeadlineExceeded" {
            conditions.set("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused");
        }
        return;
    }
    if reason == "DeploymentPaused" {
        conditions.set("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed");
    }
    let Some(new) = &sets.new else { return };
    let name = new.wanted.name();
    if reason.is_empty() {
        let (reason, verb) =
            if new.stored.is_some() { ("FoundNewReplicaSet", "Found") } else { ("NewReplicaSetCreated", "Created") };
        conditions.set("Progressing", "True", reason, &format!("{verb} new replica set {name:?}"));
    } else if new.stored.is_none() {
        let message = format!("Created new replica set {name:?}");
        conditions.set("Progressing", "True", "NewReplicaSetCreated", &message);
    }
    let over =
        status.replicas == status.updated_replicas && conditions.reason("Progressing") == "NewReplicaSetAvailable";
    if over {
        return;
    }
    if is_complete(status, strategy) {
        let message = format!("ReplicaSet {name:?} has successfully progressed.");
        conditions.set("Progressing", "True", "NewReplicaSetAvailable", &message);
    } else if moved(deployment, status) {
        conditions.touch("Progressing", "True", "ReplicaSetUpdated", &format!("ReplicaSet {name:?} is progressing."));
    } else if conditions.reason("Progressing") != "ProgressDeadlineExceeded" {
        let ends = later(conditions.updated("Progressing"), deadline.into());
        if ends < conditions.now {
            let message = format!("ReplicaSet {name:?} has timed out progressing.");
            conditions.set("Progressing", "False", "ProgressDeadlineExceeded", &message);
        } else {
            plan.wake_at(later(ends, 1));
        }
    }
}

/// Whether the rollout got further than the stored status says.
fn moved(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let before = deployment.status.clone().unwrap_or_default();
    let n = Option::unwrap_or_default;
    let old = |status: &DeploymentStatus| n(status.replicas) - n(status.updated_replicas);
    n(status.updated_replicas) > n(before.updated_replicas)
        || old(status) < old(&before)
        || n(status.ready_replicas) > n(before.ready_replicas)
        || n(status.available_replicas) > n(before.available_replicas)
}

/// The conditions of a status in the making.
struct Conditions {
    list: Vec<DeploymentCondition>,
    now: Timestamp,
}

impl Conditions {
    fn get(&self, kind: &str) -> Option<&DeploymentCondition> {
        self.list.iter().find(|condition| condition.type_.as_deref() == Some(kind))
    }

    fn reason(&self, kind: &str) -> &str {
        self.get(kind).and_then(|condition| condition.reason.as_deref()).unwrap_or_default()
    }

    fn updated(&self, kind: &str) -> Timestamp {
        self.get(kind).and_then(|condition| condition.last_update_time.as_ref()).map_or(self.now, |time| time.0)
    }

    /// Sets a condition; nothing changes while status and reason are the same.
    fn set(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        let same = self.get(kind).is_some_and(|condition| {
            condition.status.as_deref() == Some(status) && condition.reason.as_deref() == Some(reason)
        });
        if !same {
            self.touch(kind, status, reason, message);
        }
    }

    /// Sets a condition and its time of update.
    fn touch(&mut self, kind: &str, status: &str, reason: &str, message: &str) {
        let now = Some(Time(self.now));
        let before = self.get(kind).filter(|condition| condition.status.as_deref() == Some(status));
        let since = before.and_then(|condition| condition.last_transition_time.clone()).or_else(|| now.clone());
        self.remove(kind);
        self.list.push(DeploymentCondition {
            type_: Some(kind.to_owned()),
            status: Some(status.to_owned()),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_transition_time: since,
            last_update_time: now,
        });
    }

    fn remove(&mut self, kind: &str) {
        self.list.retain(|condition| condition.type_.as_deref() != Some(kind));
    }
}
