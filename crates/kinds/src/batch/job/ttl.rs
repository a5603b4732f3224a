//! Deletes Jobs some time after they ended (`ttlSecondsAfterFinished`).

use api::{Blocked, Change, Controller, Plan, Propagation, View};
use k8s_openapi::api::batch::v1::Job;

use super::verdict;
use crate::workload::change;
use crate::workload::meta::Meta;
use crate::workload::pods;

/// Deletes ended Jobs.
pub const CONTROLLER: Controller<Job> = Controller { name: "ttl-after-finished", wakes: &[], plan };

fn plan(job: &Job, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
    let Some(seconds) = job.spec.as_ref().and_then(|spec| spec.ttl_seconds_after_finished) else { return Ok(()) };
    let ended = verdict::condition(job, "Complete").or_else(|| verdict::condition(job, "Failed"));
    let Some(time) = ended.and_then(|condition| condition.last_transition_time.as_ref()) else { return Ok(()) };
    if job.deleting() {
        return Ok(());
    }
    let expires = pods::later(time.0, seconds.into());
    if view.now() < expires {
        plan.wake_at(expires);
        return Ok(());
    }
    let delete = Change::Delete {
        key: change::key(job, view),
        uid: job.uid().to_owned(),
        propagation: Propagation::Foreground,
        grace: None,
    };
    plan.push(delete, "ttlSecondsAfterFinished is over");
    Ok(())
}
