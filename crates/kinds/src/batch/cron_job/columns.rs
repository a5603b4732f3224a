//! The table of CronJobs.

use api::Column;
use k8s_openapi::api::batch::v1::{CronJob, JobSpec};
use serde_json::Value;

use crate::core::pod_template::{containers, images};
use crate::table::{NONE, UNSET, age, boolean, integer, name, selector, since, string, text_or, wide};

/// Columns of the kind's table.
pub const COLUMNS: &[Column<CronJob>] = &[
    name(),
    string("Schedule", |cron, _| Value::from(cron.spec.schedule.as_str())),
    string("Timezone", |cron, _| text_or(&cron.spec.time_zone, NONE)),
    boolean("Suspend", |cron, _| match cron.spec.suspend {
        Some(true) => Value::from("True"),
        Some(false) => Value::from("False"),
        None => Value::from(UNSET),
    }),
    integer("Active", |cron, _| {
        let active = cron.status.as_ref().and_then(|status| status.active.as_ref());
        Value::from(active.map_or(0, Vec::len))
    }),
    string("Last Schedule", |cron, row| {
        let last = cron.status.as_ref().and_then(|status| status.last_schedule_time.as_ref());
        Value::from(last.map_or_else(|| NONE.to_owned(), |time| since(Some(time.0), row)))
    }),
    age(),
    wide(string("Containers", |cron, _| containers(job(cron).map(|job| &job.template)))),
    wide(string("Images", |cron, _| images(job(cron).map(|job| &job.template)))),
    wide(string("Selector", |cron, _| Value::from(selector(job(cron).and_then(|job| job.selector.as_ref()))))),
];

fn job(cron: &CronJob) -> Option<&JobSpec> {
    cron.spec.job_template.spec.as_ref()
}
