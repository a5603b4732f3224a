//! Defaults and validation of CronJobs.

use api::{FieldErrors, Path};
use k8s_openapi::api::batch::v1::CronJob;
use serde_json::Value;

use super::schedule;
use crate::batch::job;
use crate::checks;
use crate::core::pod_template;
use crate::value::{clear_status, deep, default, default_text, object};

/// What is left of 63 bytes for the names of jobs when a time is appended.
const NAME_MAX: usize = 52;

/// Defaults of a CronJob. Its jobs get theirs when they are made.
pub fn defaults(cron: &mut Value) {
    let Some(spec) = object(cron, "spec") else { return };
    default_text(spec, "concurrencyPolicy", "Allow");
    default(spec, "suspend", false);
    default(spec, "successfulJobsHistoryLimit", 3);
    default(spec, "failedJobsHistoryLimit", 1);
    deep(spec, "jobTemplate.spec.template").into_iter().for_each(pod_template::defaults);
    object(cron, "status");
}

/// On create there is no status yet.
pub fn prepare(cron: &mut Value, old: Option<&Value>) {
    clear_status(cron, old);
}

/// Reports everything that is wrong.
pub fn validate(cron: &CronJob, old: Option<&CronJob>, errors: &mut FieldErrors) {
    let (spec, path) = (&cron.spec, Path::new("spec"));
    if let Some(name) = cron.metadata.name.as_deref().filter(|name| old.is_none() && name.len() > NAME_MAX) {
        let why = format!("must be no more than {NAME_MAX} characters");
        errors.invalid(&Path::new("metadata").child("name"), name, &why);
    }
    let schedule_path = path.child("schedule");
    if spec.schedule.is_empty() {
        errors.required(&schedule_path, "");
    } else if let Err(why) = schedule::check(&spec.schedule) {
        errors.invalid(&schedule_path, spec.schedule.as_str(), &why);
    }
    if spec.schedule.contains("TZ=") {
        let why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errors.invalid(&schedule_path, spec.schedule.as_str(), why);
    }
    match spec.time_zone.as_deref() {
        Some("") => errors.invalid(&path.child("timeZone"), "", "timeZone must be nil or non-empty string"),
        Some("Local") => {
            let why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
            errors.invalid(&path.child("timeZone"), "Local", why);
        }
        _ => {}
    }
    checks::maybe_not_negative(errors, &path.child("startingDeadlineSeconds"), spec.starting_deadline_seconds);
    let policies = ["Allow", "Forbid", "Replace"];
    checks::one_of(errors, &path.child("concurrencyPolicy"), spec.concurrency_policy.as_deref(), &policies);
    for (field, value) in [
        ("successfulJobsHistoryLimit", spec.successful_jobs_history_limit),
        ("failedJobsHistoryLimit", spec.failed_jobs_history_limit),
    ] {
        checks::maybe_not_negative(errors, &path.child(field), value);
    }
    let path = path.child("jobTemplate").child("spec");
    let job = spec.job_template.spec.clone().unwrap_or_default();
    if job.manual_selector == Some(true) {
        errors.not_supported(&path.child("manualSelector"), true, &["nil", "false"]);
    }
    job::validate_spec(&job, &path, errors);
}
