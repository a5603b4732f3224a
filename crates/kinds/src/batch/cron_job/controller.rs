//! Says that CronJobs are stored and not acted on, so that nobody waits for a Job that will not come.

use api::{Blocked, Controller, Plan, View};
use k8s_openapi::api::batch::v1::CronJob;

use crate::workload::meta::Meta;

/// Speaks for CronJobs.
pub const CONTROLLER: Controller<CronJob> = Controller { name: "cronjob", wakes: &[], plan };

fn plan(cron_job: &CronJob, _: &View, _: &mut Plan) -> Result<(), Blocked> {
    if cron_job.deleting() || cron_job.spec.suspend == Some(true) {
        return Ok(());
    }
    let name = cron_job.name();
    let message = format!(
        "CronJobs are stored but no Jobs are started on their schedule; start one with: \
         kubectl create job --from=cronjob/{name} {name}-1 --namespace {}",
        cron_job.namespace()
    );
    Err(Blocked::new("NotScheduled", message))
}
