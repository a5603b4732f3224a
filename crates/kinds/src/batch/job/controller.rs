//! Runs pods until enough of them succeeded, or too many failed.
//!
//! Owns pods. Each pod carries a finalizer until its end is counted in the Job's status, so that no end is lost and
//! none counts twice (KEP-2307): a plan records ends in the status, and only a plan that sees them recorded lets the
//! pods go. Ending is in two steps as well: first the verdict (`SuccessCriteriaMet` or `FailureTarget`), then, once
//! no pod is left running, `Complete` or `Failed` (KEP-3998).

use api::{Blocked, Controller, EventType, GroupKind, Key, LabelSelector, Object, Plan, View, Wake};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

use super::status::Draft;
use super::tally::{FINALIZER, Tally};
use super::verdict::{self, Verdict};
use super::{indexes, workers};
use crate::workload::change;
use crate::workload::claim::{self, Held};
use crate::workload::meta::Meta;
use crate::workload::pods;

/// Runs Jobs.
pub const CONTROLLER: Controller<Job> = Controller {
    name: "job",
    wakes: &[Wake::Owned(GroupKind::of::<Pod>()), Wake::Map(GroupKind::of::<Pod>(), selecting)],
    plan,
};

/// Lets pods go whose Job is gone or has ended: nobody counts their ends any more.
pub const ORPHANS: Controller<Pod> =
    Controller { name: "job", wakes: &[Wake::Map(GroupKind::of::<Job>(), pods_of)], plan: let_go };

fn plan(job: &Job, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
    let Some(spec) = &job.spec else { return Ok(()) };
    let managed = spec.managed_by.as_deref().is_none_or(|by| by == "kubernetes.io/job-controller");
    if !managed || job.deleting() || verdict::ended(job) {
        return Ok(());
    }
    let Some(held) = claim_pods(job, view, plan)? else { return Ok(()) };
    let tally = Tally::of(job, held);
    let mut draft = Draft::of(job, &tally, view.now());
    let suspended = spec.suspend == Some(true);
    if let Some(verdict) = Verdict::of(job, &tally, view.now(), plan) {
        draft.condemn(&verdict);
        workers::stop(job, &tally, plan);
        if tally.over() {
            draft.end(&verdict, plan);
        }
    } else if suspended {
        draft.suspend(plan);
        workers::stop(job, &tally, plan);
    } else {
        draft.resume(plan);
        workers::manage(job, &tally, view, plan);
    }
    for pod in &tally.counted {
        plan.push(change::remove_finalizer(pod.object, FINALIZER), "its end is counted");
    }
    draft.write(plan);
    Ok(())
}

/// The Job's pods; `None` when some have to be adopted or released first.
fn claim_pods<'a>(job: &Job, view: &'a View, plan: &mut Plan) -> Result<Option<Vec<Held<'a, Pod>>>, Blocked> {
    match job.spec.as_ref().and_then(|spec| spec.selector.as_ref()) {
        Some(selector) => {
            let selector = LabelSelector::from_object(selector).map_err(|why| Blocked::new("InvalidSelector", why))?;
            Ok(claim::claim(job, &selector, view, plan))
        }
        None => Ok(Some(claim::controlled(job, view))),
    }
}

fn let_go(pod: &Pod, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
    if !pod.has_finalizer(FINALIZER) {
        return Ok(());
    }
    let Some(object) = view.object(&change::key(pod, view)) else { return Ok(()) };
    let controller = object.header.controller().filter(|owner| owner.kind == "Job");
    let job = controller
        .and_then(|owner| view.get::<Job>(pod.namespace(), &owner.name).filter(|job| job.uid() == &*owner.uid));
    if job.is_none_or(|job| job.deleting() || verdict::ended(job)) {
        plan.push(change::remove_finalizer(object, FINALIZER), "its Job counts no more");
    }
    Ok(())
}

/// The pods of a Job, when it is one that counts no more.
fn pods_of(job: &Object, view: &View) -> Vec<Key> {
    let gone = view.object(&job.header.key).is_none_or(|now| now.header.uid != job.header.uid);
    if !gone && job.header.deleting.is_none() && !job.typed::<Job>().is_some_and(verdict::ended) {
        return Vec::new();
    }
    let pod = view.catalogue().id_of::<Pod>();
    view.dependents(&job.header.uid)
        .filter(|object| object.header.key.kind == pod)
        .map(|object| object.header.key.clone())
        .collect()
}

/// Jobs that may adopt an orphan.
fn selecting(pod: &Object, view: &View) -> Vec<Key> {
    let header = &pod.header;
    if header.controller().is_some() || header.labels.is_empty() {
        return Vec::new();
    }
    let selects = |job: &Job| {
        let selector = job.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let selector = selector.and_then(|selector| LabelSelector::from_object(selector).ok());
        selector.is_some_and(|selector| !selector.is_everything() && selector.matches(header))
    };
    view.objects_in(view.catalogue().id_of::<Job>(), &header.key.namespace)
        .filter(|object| object.typed().is_some_and(selects))
        .map(|object| object.header.key.clone())
        .collect()
}

/// Whether the Job's pods are told apart by a completion index.
pub(super) fn indexed(job: &Job) -> bool {
    job.spec.as_ref().is_some_and(|spec| spec.completion_mode.as_deref() == Some("Indexed"))
}

/// Whether only pods that ended are replaced, not those on their way to it.
pub(super) fn replaces_failed_only(job: &Job) -> bool {
    job.spec.as_ref().is_some_and(|spec| match spec.pod_replacement_policy.as_deref() {
        Some(policy) => policy == "Failed",
        None => spec.pod_failure_policy.is_some(),
    })
}

/// Whether a pod failed as far as the Job is concerned.
pub(super) fn failed(job: &Job, pod: &Pod) -> bool {
    match pods::phase(pod) {
        "Failed" => true,
        "Succeeded" => false,
        _ => pod.deleting() && !replaces_failed_only(job),
    }
}

/// Whether a pod's end is still to be counted.
pub(super) fn tracked(pod: &Pod) -> bool {
    pod.has_finalizer(FINALIZER)
}

/// The completion index of a pod of an indexed Job.
pub(super) fn index_of(job: &Job, pod: &Pod) -> Option<i32> {
    let completions = job.spec.as_ref()?.completions?;
    let index: i32 = pod.annotation(indexes::INDEX)?.parse().ok()?;
    (0..completions).contains(&index).then_some(index)
}

/// Tells people about a Job.
pub(super) fn tell(job: &Job, kind: EventType, reason: &str, message: &str, plan: &mut Plan) {
    plan.event(job, kind, reason, message);
}
