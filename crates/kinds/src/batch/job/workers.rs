//! Starting and stopping the pods of a Job.

use std::collections::BTreeSet;

use api::{EventType, Plan, View};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, Pod};

use super::controller::{failed, index_of, indexed, replaces_failed_only, tell};
use super::indexes::{FAILURES, INDEX};
use super::tally::{FINALIZER, Tally};
use crate::workload::claim::Held;
use crate::workload::meta::Meta;
use crate::workload::replicas::{BURST, count};
use crate::workload::{pods, template};

/// Wait after the first failure in a row, in seconds; doubles with each.
const BACK_OFF_SECONDS: i64 = 10;
/// Longest wait after a failure, in seconds.
const BACK_OFF_MAX_SECONDS: i64 = 600;

/// Deletes all active pods.
pub fn stop(job: &Job, tally: &Tally<'_>, plan: &mut Plan) {
    tally.active.iter().take(BURST).for_each(|pod| delete(job, pod, "the Job has ended or is suspended", plan));
}

/// Creates or deletes pods until as many are active as should be.
pub fn manage(job: &Job, tally: &Tally<'_>, view: &View, plan: &mut Plan) {
    let surplus = surplus(job, tally);
    surplus.iter().take(BURST).for_each(|pod| delete(job, pod, "more pods than the Job needs", plan));
    if !surplus.is_empty() {
        return;
    }
    let mut n_busy = count(tally.active.len());
    if replaces_failed_only(job) {
        n_busy += tally.terminating;
    }
    let n_missing = usize::try_from(wanted(job, tally) - n_busy).unwrap_or_default().min(BURST);
    if n_missing == 0 {
        return;
    }
    if let Some(time) = backed_off_until(job, tally).filter(|time| *time > view.now()) {
        plan.wake_at(time);
        return;
    }
    if indexed(job) {
        for (nth, index) in free_indexes(job, tally).into_iter().take(n_missing).enumerate() {
            let base = format!("{}-{index}-", job.name());
            let mut pod = pod(job, template::generated_name(job, &base, view, nth));
            mark(job, &mut pod, index, tally);
            create(job, &pod, plan);
        }
    } else {
        for nth in 0..n_missing {
            create(job, &pod(job, template::generated_name(job, &format!("{}-", job.name()), view, nth)), plan);
        }
    }
}

/// How many pods should be active.
fn wanted(job: &Job, tally: &Tally<'_>) -> i32 {
    let spec = job.spec.clone().unwrap_or_default();
    let parallelism = spec.parallelism.unwrap_or(1);
    match spec.completions {
        Some(completions) => {
            let given_up = count(tally.failed.0.len());
            parallelism.min((completions - tally.succeeded() - given_up).max(0))
        }
        // One success is enough; what runs beside it runs to its end.
        None if tally.succeeded() > 0 => parallelism.min(count(tally.active.len())),
        None => parallelism,
    }
}

/// Active pods that are not needed, least useful first.
fn surplus<'t, 'a>(job: &Job, tally: &'t Tally<'a>) -> Vec<&'t Held<'a, Pod>> {
    let mut active: Vec<&Held<'a, Pod>> = tally.active.iter().collect();
    active.sort_by_key(|pod| (pods::ready(pod), !pods::node_name(pod).is_empty(), std::cmp::Reverse(pod.created())));
    if indexed(job) {
        let mut taken = BTreeSet::new();
        let superfluous = |pod: &&&Held<'a, Pod>| {
            index_of(job, pod).is_none_or(|index| tally.completed.0.contains(&index) || !taken.insert(index))
        };
        let doubled: BTreeSet<String> =
            active.iter().rev().filter(superfluous).map(|pod| pod.uid().to_owned()).collect();
        if !doubled.is_empty() {
            active.retain(|pod| doubled.contains(pod.uid()));
            return active;
        }
    }
    let n_surplus = count(active.len()) - wanted(job, tally);
    active.truncate(usize::try_from(n_surplus).unwrap_or_default());
    active
}

/// When pods may be created again after failures in a row.
fn backed_off_until(job: &Job, tally: &Tally<'_>) -> Option<Timestamp> {
    if job.spec.as_ref().is_some_and(|spec| spec.backoff_limit_per_index.is_some()) {
        return None; // Failures of one index do not hold others up.
    }
    let last_success = tally.succeeded_pods.iter().map(|pod| ended(pod)).max();
    let failures: Vec<Timestamp> = tally
        .failed_pods
        .iter()
        .filter(|pod| failed(job, pod) && pods::phase(pod) == "Failed")
        .map(|pod| ended(pod))
        .filter(|time| last_success.is_none_or(|success| *time > success))
        .collect();
    let last = failures.iter().max()?;
    let doublings = u32::try_from(failures.len() - 1).unwrap_or(u32::MAX).min(16);
    Some(pods::later(*last, (BACK_OFF_SECONDS << doublings).min(BACK_OFF_MAX_SECONDS)))
}

/// When a pod ended.
fn ended(pod: &Pod) -> Timestamp {
    let finished = |status: &k8s_openapi::api::core::v1::ContainerStatus| {
        Some(status.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref()?.0)
    };
    let deleted = pod.metadata.deletion_timestamp.as_ref().map(|time| time.0);
    pods::container_statuses(pod).filter_map(finished).max().or(deleted).unwrap_or_else(|| pod.created())
}

/// Indexes without a pod, a success or a final failure.
fn free_indexes(job: &Job, tally: &Tally<'_>) -> Vec<i32> {
    let completions = job.spec.as_ref().and_then(|spec| spec.completions).unwrap_or_default();
    let busy: BTreeSet<i32> = tally.active.iter().filter_map(|pod| index_of(job, pod)).collect();
    (0..completions)
        .filter(|index| !busy.contains(index) && !tally.completed.0.contains(index) && !tally.failed.0.contains(index))
        .collect()
}

fn pod(job: &Job, name: String) -> Pod {
    let spec = job.spec.clone().unwrap_or_default();
    let mut pod = template::pod(job, &spec.template, name);
    pod.metadata.finalizers.get_or_insert_default().push(FINALIZER.to_owned());
    let labels = pod.metadata.labels.get_or_insert_default();
    for key in ["batch.kubernetes.io/job-name", "job-name"] {
        labels.entry(key.to_owned()).or_insert_with(|| job.name().to_owned());
    }
    for key in ["batch.kubernetes.io/controller-uid", "controller-uid"] {
        labels.entry(key.to_owned()).or_insert_with(|| job.uid().to_owned());
    }
    pod
}

/// Gives a pod its completion index: label, annotation, host name, and `JOB_COMPLETION_INDEX` in its containers.
fn mark(job: &Job, pod: &mut Pod, index: i32, tally: &Tally<'_>) {
    pod.metadata.generate_name = Some(format!("{}-{index}-", job.name()));
    pod.metadata.labels.get_or_insert_default().insert(INDEX.to_owned(), index.to_string());
    let annotations = pod.metadata.annotations.get_or_insert_default();
    annotations.insert(INDEX.to_owned(), index.to_string());
    if job.spec.as_ref().is_some_and(|spec| spec.backoff_limit_per_index.is_some()) {
        let failures = tally.failures_by_index(job).get(&index).copied().unwrap_or_default();
        annotations.insert(FAILURES.to_owned(), failures.to_string());
    }
    let spec = pod.spec.get_or_insert_default();
    spec.hostname = Some(format!("{}-{index}", job.name()));
    for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
        let env = container.env.get_or_insert_default();
        if env.iter().any(|variable| variable.name == "JOB_COMPLETION_INDEX") {
            continue;
        }
        let field = ObjectFieldSelector {
            api_version: Some("v1".to_owned()),
            field_path: format!("metadata.labels['{INDEX}']"),
        };
        env.push(EnvVar {
            name: "JOB_COMPLETION_INDEX".to_owned(),
            value_from: Some(EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() }),
            ..EnvVar::default()
        });
    }
}

fn create(job: &Job, pod: &Pod, plan: &mut Plan) {
    plan.create(pod, "too few active pods");
    tell(job, EventType::Normal, "SuccessfulCreate", &format!("Created pod: {}", pod.name()), plan);
}

fn delete(job: &Job, pod: &Held<'_, Pod>, reason: &str, plan: &mut Plan) {
    plan.delete(pod.object, reason);
    tell(job, EventType::Normal, "SuccessfulDelete", &format!("Deleted pod: {}", pod.name()), plan);
}
