//! The status of a Job in the making.

use api::{EventType, Plan};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::controller::{indexed, tell};
use super::tally::Tally;
use super::verdict::Verdict;

/// A status that differs from the stored one by what a plan found out and decided.
pub struct Draft<'j> {
    job: &'j Job,
    status: JobStatus,
    now: Timestamp,
}

impl<'j> Draft<'j> {
    /// Starts from what the tally says.
    pub fn of(job: &'j Job, tally: &Tally<'_>, now: Timestamp) -> Self {
        let mut status = job.status.clone().unwrap_or_default();
        let some = |count: i32| (count != 0).then_some(count);
        status.active = some(tally.active.len().try_into().unwrap_or(i32::MAX));
        status.ready = Some(tally.ready);
        status.terminating = Some(tally.terminating);
        status.succeeded = some(tally.n_succeeded);
        status.failed = some(tally.n_failed);
        status.uncounted_terminated_pods = Some(tally.uncounted.clone());
        if indexed(job) {
            let text = tally.completed.to_text();
            status.completed_indexes = (!text.is_empty()).then_some(text);
            if job.spec.as_ref().is_some_and(|spec| spec.backoff_limit_per_index.is_some()) {
                status.failed_indexes = Some(tally.failed.to_text());
            }
        }
        Self { job, status, now }
    }

    /// Records how the Job will end.
    pub fn condemn(&mut self, verdict: &Verdict) {
        let kind = if verdict.success { "SuccessCriteriaMet" } else { "FailureTarget" };
        self.start();
        self.set(kind, "True", &verdict.reason, &verdict.message);
    }

    /// Ends the Job.
    pub fn end(&mut self, verdict: &Verdict, plan: &mut Plan) {
        if verdict.success {
            self.status.completion_time = Some(Time(self.now));
            self.set("Complete", "True", &verdict.reason, &verdict.message);
            tell(self.job, EventType::Normal, "Completed", "Job completed", plan);
        } else {
            self.set("Failed", "True", &verdict.reason, &verdict.message);
            tell(self.job, EventType::Warning, &verdict.reason, &verdict.message, plan);
        }
    }

    /// Records that the Job is suspended: its time does not run.
    pub fn suspend(&mut self, plan: &mut Plan) {
        self.status.start_time = None;
        if self.set("Suspended", "True", "JobSuspended", "Job suspended") {
            tell(self.job, EventType::Normal, "Suspended", "Job suspended", plan);
        }
    }

    /// Records that the Job is not suspended; its time runs from the first such plan.
    pub fn resume(&mut self, plan: &mut Plan) {
        let conditions = self.status.conditions.as_ref();
        let suspended = conditions.into_iter().flatten().any(|one| one.type_ == "Suspended" && one.status == "True");
        if suspended {
            self.status.start_time = None;
            self.set("Suspended", "False", "JobResumed", "Job resumed");
            tell(self.job, EventType::Normal, "Resumed", "Job resumed", plan);
        }
        self.start();
    }

    fn start(&mut self) {
        if self.status.start_time.is_none() {
            self.status.start_time = Some(Time(self.now));
        }
    }

    /// Sets a condition; says whether it changed.
    fn set(&mut self, kind: &str, status: &str, reason: &str, message: &str) -> bool {
        let conditions = self.status.conditions.get_or_insert_default();
        let same =
            |one: &JobCondition| one.type_ == kind && one.status == status && one.reason.as_deref() == Some(reason);
        if conditions.iter().any(same) {
            return false;
        }
        conditions.retain(|one| one.type_ != kind);
        conditions.push(JobCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_probe_time: Some(Time(self.now)),
            last_transition_time: Some(Time(self.now)),
        });
        true
    }

    /// Asks for the status when it differs from the stored one.
    pub fn write(self, plan: &mut Plan) {
        if self.job.status.as_ref() != Some(&self.status) {
            plan.update_status(&Job { status: Some(self.status), ..self.job.clone() }, "pods changed");
        }
    }
}
