//! Whether a Job has succeeded or failed, and why.

use api::Plan;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec};

use super::controller::indexed;
use super::failures;
use super::indexes::Indexes;
use super::tally::Tally;
use crate::workload::pods;
use crate::workload::replicas::count;

/// How a Job ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it succeeded.
    pub success: bool,
    /// Reason of the conditions.
    pub reason: String,
    /// Message of the conditions.
    pub message: String,
}

/// Whether the Job has ended: nothing about it changes any more.
pub fn ended(job: &Job) -> bool {
    condition(job, "Complete").or_else(|| condition(job, "Failed")).is_some()
}

/// A condition of the Job that is true.
pub fn condition<'a>(job: &'a Job, kind: &str) -> Option<&'a JobCondition> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind && condition.status == "True")
}

impl Verdict {
    fn new(success: bool, reason: &str, message: impl Into<String>) -> Self {
        Self { success, reason: reason.to_owned(), message: message.into() }
    }

    /// The verdict on `job`, the one that was given already if there is one.
    pub fn of(job: &Job, tally: &Tally<'_>, now: Timestamp, plan: &mut Plan) -> Option<Self> {
        let given = |kind: &str, success: bool| {
            let condition = condition(job, kind)?;
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            Some(Self { success, reason: text(&condition.reason), message: text(&condition.message) })
        };
        let spec = job.spec.as_ref()?;
        given("FailureTarget", false)
            .or_else(|| given("SuccessCriteriaMet", true))
            .or_else(|| by_policy(job, tally))
            .or_else(|| by_limits(job, spec, tally))
            .or_else(|| by_deadline(job, spec, now, plan))
            .or_else(|| by_success_policy(spec, tally))
            .or_else(|| by_completions(spec, tally))
    }
}

fn by_policy(job: &Job, tally: &Tally<'_>) -> Option<Verdict> {
    let message = tally.failed_pods.iter().find_map(|pod| failures::fails_job(job, pod))?;
    Some(Verdict::new(false, "PodFailurePolicy", message))
}

fn by_limits(job: &Job, spec: &JobSpec, tally: &Tally<'_>) -> Option<Verdict> {
    let per_index = spec.backoff_limit_per_index.is_some();
    let limit = spec.backoff_limit.unwrap_or(if per_index { i32::MAX } else { 6 });
    let restart_policy = spec.template.spec.as_ref().and_then(|pod| pod.restart_policy.as_deref());
    let restarts = || tally.active.iter().map(|pod| pods::restarts(pod)).sum::<i32>();
    let restarted_too_often = restart_policy == Some("OnFailure") && {
        let restarts = restarts();
        if limit == 0 { restarts > 0 } else { restarts >= limit }
    };
    if tally.failures() > limit || restarted_too_often {
        return Some(Verdict::new(false, "BackoffLimitExceeded", "Job has reached the specified backoff limit"));
    }
    if !per_index || !indexed(job) {
        return None;
    }
    let n_failed = count(tally.failed.0.len());
    if spec.max_failed_indexes.is_some_and(|most| n_failed > most) {
        let message = "Job has exceeded the specified maximal number of failed indexes";
        return Some(Verdict::new(false, "MaxFailedIndexesExceeded", message));
    }
    let all = n_failed + count(tally.completed.0.len()) >= spec.completions.unwrap_or_default();
    (n_failed > 0 && all).then(|| Verdict::new(false, "FailedIndexes", "Job has failed indexes"))
}

fn by_deadline(job: &Job, spec: &JobSpec, now: Timestamp, plan: &mut Plan) -> Option<Verdict> {
    let seconds = spec.active_deadline_seconds?;
    let started = job.status.as_ref()?.start_time.as_ref()?.0;
    if spec.suspend == Some(true) {
        return None;
    }
    let ends = pods::later(started, seconds);
    if now < ends {
        plan.wake_at(ends);
        return None;
    }
    Some(Verdict::new(false, "DeadlineExceeded", "Job was active longer than specified deadline"))
}

/// `successPolicy` (KEP-3998).
fn by_success_policy(spec: &JobSpec, tally: &Tally<'_>) -> Option<Verdict> {
    let rules = &spec.success_policy.as_ref()?.rules;
    let end = spec.completions.unwrap_or_default();
    let index = rules.iter().position(|rule| {
        let wanted = rule.succeeded_indexes.as_deref().map(|text| Indexes::parse(text, end));
        let n_met = match &wanted {
            Some(wanted) => wanted.0.intersection(&tally.completed.0).count(),
            None => tally.completed.0.len(),
        };
        let n_wanted = rule.succeeded_count.unwrap_or_else(|| wanted.map_or(i32::MAX, |wanted| count(wanted.0.len())));
        count(n_met) >= n_wanted
    })?;
    Some(Verdict::new(true, "SuccessPolicy", format!("Matched rules at index {index}")))
}

fn by_completions(spec: &JobSpec, tally: &Tally<'_>) -> Option<Verdict> {
    let met = match spec.completions {
        Some(completions) => tally.succeeded() >= completions,
        // Without a number any success ends the Job, once the other pods are through.
        None => tally.succeeded() > 0 && tally.active.is_empty(),
    };
    met.then(|| Verdict::new(true, "CompletionsReached", "Reached expected number of succeeded pods"))
}
