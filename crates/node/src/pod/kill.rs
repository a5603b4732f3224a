//! Stops a container as its spec wants it: preStop hook, signal, patience, SIGKILL.

use std::time::{Duration, Instant};

use crate::event::Level;
use crate::pod::hooks;
use crate::pod::members;
use crate::pod::observed::State;
use crate::pod::worker::Task;

/// Every container gets this long to react to its signal, in seconds.
const LEAST_GRACE: u64 = 2;

/// Stops the container. `Ok` when it has ended.
pub(crate) async fn kill(task: &Task, id: &str, grace: i64, message: &str) -> Result<(), cri::Error> {
    let Some(seen) = task.seen.containers.iter().find(|container| container.id == id) else { return Ok(()) };
    let spec = task.pod.spec.as_ref();
    let member = spec.and_then(|spec| members::find(spec, &seen.name));
    if let Some(spec) = spec {
        task.node.events.record(&task.about(spec, &seen.name), Level::Normal, "Killing", message);
    }
    let grace = Duration::from_secs(u64::try_from(grace).unwrap_or(0));
    let begun = Instant::now();
    let hook = member.as_ref().and_then(|member| member.container.lifecycle.as_ref()?.pre_stop.as_ref());
    if let (Some(spec), Some(member), Some(hook)) = (spec, &member, hook)
        && seen.state == State::Running
        && !grace.is_zero()
    {
        let ended = tokio::time::timeout(grace, hooks::run(task, member, id, hook)).await;
        if !matches!(ended, Ok(Ok(()))) {
            let about = task.about(spec, &seen.name);
            task.node.events.record(&about, Level::Warning, "FailedPreStopHook", "PreStopHook failed");
        }
    }
    let left = grace.saturating_sub(begun.elapsed()).max(Duration::from_secs(LEAST_GRACE));
    match task.node.runtime.stop_container(id, left).await {
        Err(err) if err.not_found() => Ok(()),
        other => other,
    }
}
