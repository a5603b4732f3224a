//! The table of jobs.

use api::{Column, Row};
use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus};
use serde_json::Value;

use crate::core::pod_template::{containers, images};
use crate::table::{age, name, selector, string, wide};

/// Columns of the kind's table.
pub const COLUMNS: &[Column<Job>] = &[
    name(),
    string("Status", |job, _| Value::from(state(job))),
    string("Completions", completions),
    string("Duration", duration),
    age(),
    wide(string("Containers", |job, _| containers(job.spec.as_ref().map(|spec| &spec.template)))),
    wide(string("Images", |job, _| images(job.spec.as_ref().map(|spec| &spec.template)))),
    wide(string("Selector", |job, _| Value::from(selector(job.spec.as_ref().and_then(|spec| spec.selector.as_ref()))))),
];

fn state(job: &Job) -> &'static str {
    let conditions = job.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let holds = |kind: &str| {
        conditions.iter().find(|condition| condition.type_ == kind).is_some_and(|condition| condition.status == "True")
    };
    match () {
        () if holds("Complete") => "Complete",
        () if holds("Failed") => "Failed",
        () if job.metadata.deletion_timestamp.is_some() => "Terminating",
        () if holds("Suspended") => "Suspended",
        () if holds("FailureTarget") => "FailureTarget",
        () => "Running",
    }
}

fn completions(job: &Job, _: Row) -> Value {
    let succeeded = job.status.as_ref().and_then(|status| status.succeeded).unwrap_or_default();
    let JobSpec { completions, parallelism, .. } = job.spec.clone().unwrap_or_default();
    Value::from(match (completions, parallelism.unwrap_or_default()) {
        (Some(completions), _) => format!("{succeeded}/{completions}"),
        (None, parallelism) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    })
}

fn duration(job: &Job, row: Row) -> Value {
    let JobStatus { start_time, completion_time, .. } = job.status.clone().unwrap_or_default();
    let Some(start) = start_time else { return Value::from("") };
    let end = completion_time.map_or(row.now, |time| time.0);
    Value::from(api::human_duration(end.as_second() - start.0.as_second()))
}
