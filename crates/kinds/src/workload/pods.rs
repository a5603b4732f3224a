//! What state a pod is in, as controllers ask it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodCondition, PodSpec};

use super::meta::Meta;

/// `status.phase`; a pod that nobody has looked at is `Pending`.
pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

/// The pod's node, empty while it has none.
pub fn node_name(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()).unwrap_or_default()
}

/// The pod's spec; every stored pod has one.
pub fn spec(pod: &Pod) -> Option<&PodSpec> {
    pod.spec.as_ref()
}

/// A condition of the pod.
pub fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    pod.status.as_ref()?.conditions.as_ref()?.iter().find(|condition| condition.type_ == kind)
}

/// Statuses of the pod's containers, init containers first.
pub fn container_statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_ref()).into_iter().flatten();
    init.chain(status.and_then(|status| status.container_statuses.as_ref()).into_iter().flatten())
}

/// How often the pod's containers were restarted.
pub fn restarts(pod: &Pod) -> i32 {
    container_statuses(pod).map(|status| status.restart_count).sum()
}

/// Since when the pod has been ready.
pub fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|condition| condition.status == "True")?;
    Some(ready.last_transition_time.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0))
}

/// Whether the pod is ready.
pub fn ready(pod: &Pod) -> bool {
    ready_since(pod).is_some()
}

/// Whether all containers ended and will not start again.
pub fn finished(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Whether the pod counts as a replica: neither finished nor being deleted.
pub fn active(pod: &Pod) -> bool {
    !finished(pod) && !pod.deleting()
}

/// Whether a pod has been ready long enough (`minReadySeconds`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// It is not ready.
    NotReady,
    /// It is ready and will be available at this time if it stays so.
    From(Timestamp),
    /// It is available.
    Available,
}

/// Whether the pod has been ready for `min_ready_seconds` at `now`.
pub fn availability(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> Availability {
    let Some(since) = ready_since(pod) else { return Availability::NotReady };
    let from = later(since, min_ready_seconds.into());
    if min_ready_seconds <= 0 || from <= now { Availability::Available } else { Availability::From(from) }
}

/// `seconds` after `time`, as far as time goes.
pub fn later(time: Timestamp, seconds: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}
