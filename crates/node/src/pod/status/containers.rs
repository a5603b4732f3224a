//! The statuses of a pod's containers.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{
    ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, PodSpec,
    VolumeMountStatus,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::duration;
use crate::labels::PodRef;
use crate::pod::decide::Facts;
use crate::pod::members::{self, Class, Member};
use crate::pod::observed::{Container, State};
use crate::pod::restart;

/// One status for each container of the spec.
pub(super) fn statuses(facts: &Facts, spec: &PodSpec) -> Vec<(Class, ContainerStatus)> {
    let waiting = default_reason(facts, spec);
    let old = old_statuses(facts);
    members::init(spec)
        .chain(members::main(spec))
        .chain(members::ephemeral(spec))
        .map(|member| {
            let status = one(facts, spec, &member, old.get(member.name()).copied(), waiting);
            (member.class, status)
        })
        .collect()
}

fn old_statuses<'a>(facts: &Facts<'a>) -> BTreeMap<&'a str, &'a ContainerStatus> {
    let Some(status) = &facts.pod.status else { return BTreeMap::new() };
    let lists = [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    lists.into_iter().flatten().flatten().map(|status| (status.name.as_str(), status)).collect()
}

/// What a container that nothing is known about waits for.
fn default_reason(facts: &Facts, spec: &PodSpec) -> &'static str {
    let has_init = spec.init_containers.iter().flatten().next().is_some();
    if has_init && !facts.initialized() { "PodInitializing" } else { "ContainerCreating" }
}

fn one(facts: &Facts, spec: &PodSpec, member: &Member, old: Option<&ContainerStatus>, reason: &str) -> ContainerStatus {
    let name = member.name();
    let seen = facts.seen.newest(name);
    let mut status = ContainerStatus {
        name: name.to_owned(),
        image: seen.map_or_else(|| member.container.image.clone().unwrap_or_default(), |seen| seen.image.clone()),
        image_id: seen.map(|seen| seen.image_ref.clone()).unwrap_or_default(),
        container_id: seen.map(|seen| format!("containerd://{}", seen.id)),
        restart_count: seen.map_or(0, |seen| i32::try_from(seen.notes.restart_count).unwrap_or(i32::MAX)),
        started: Some(false),
        ..ContainerStatus::default()
    };
    match seen {
        Some(seen) if seen.alive() => {
            let started_at = Some(super::seconds(seen.started.unwrap_or(seen.created)));
            status.state = Some(running(started_at));
            status.started = Some(facts.started(member, seen));
            status.ready = ready(facts, member, seen);
            status.last_state = facts.seen.previous(name).map(terminated);
            resources(member, &mut status);
        }
        Some(seen) if seen.state == State::Exited => {
            let again = !facts.stopping() && restart::restarts(spec, member, seen);
            match again.then(|| why_waiting(facts, member, seen)).flatten() {
                Some((reason, message)) => {
                    status.state = Some(waiting(&reason, Some(message)));
                    status.last_state = Some(terminated(seen));
                }
                None => {
                    status.state = Some(terminated(seen));
                    status.last_state = facts.seen.previous(name).map(terminated);
                    status.ready = member.class == Class::Init && seen.exit_code == 0;
                }
            }
        }
        _ => unseen(facts, member, old, reason, &mut status),
    }
    status.last_state.get_or_insert_default();
    mounts(member, &mut status);
    status
}

/// A container without a trace in the runtime, or that was only created.
fn unseen(facts: &Facts, member: &Member, old: Option<&ContainerStatus>, reason: &str, status: &mut ContainerStatus) {
    let old_end = old.and_then(|old| old.state.as_ref()).filter(|state| state.terminated.is_some());
    let old_last = old.and_then(|old| old.last_state.clone()).filter(|state| state.terminated.is_some());
    if facts.stopping() {
        // It ended out of our sight: what was reported of it stands, and what ran cannot have ended well.
        let ran = old.is_some_and(|old| old.container_id.as_deref().is_some_and(|id| !id.is_empty()));
        if let Some(old) = old.filter(|_| old_end.is_some()) {
            *status = old.clone();
        } else if ran || facts.memory.verdict.is_none() {
            status.state = Some(lost());
            status.container_id = old.and_then(|old| old.container_id.clone());
        } else {
            status.state = Some(waiting(reason, None));
        }
        return;
    }
    let trouble = facts.memory.containers.get(member.name()).and_then(|memory| memory.trouble.as_ref());
    status.container_id = None;
    status.last_state = old_end.cloned().or(old_last);
    status.restart_count = old.map_or(0, |old| old.restart_count).max(status.restart_count);
    status.state = Some(match trouble {
        Some(trouble) => waiting(&trouble.reason, Some(trouble.message.clone())),
        None => waiting(reason, None),
    });
}

/// Why a container that ended, and may run again, does not.
fn why_waiting(facts: &Facts, member: &Member, seen: &Container) -> Option<(String, String)> {
    let memory = facts.memory.containers.get(member.name())?;
    let ended = seen.finished.unwrap_or(seen.created);
    if memory.crash.until(ended) > facts.now {
        let message = back_off_message(memory.crash.delay(), member.name(), &PodRef::of(facts.pod));
        return Some(("CrashLoopBackOff".to_owned(), message));
    }
    memory.trouble.as_ref().map(|trouble| (trouble.reason.clone(), trouble.message.clone()))
}

/// The words for a restart that has to wait.
pub(crate) fn back_off_message(delay: SignedDuration, container: &str, pod: &PodRef) -> String {
    format!("back-off {} restarting failed container={container} pod={pod}", duration::go(delay.as_nanos()))
}

/// A running container is ready when its readiness probe says so, and not before it has started.
fn ready(facts: &Facts, member: &Member, seen: &Container) -> bool {
    if !facts.started(member, seen) || facts.memory.killing.contains_key(&seen.id) && member.class == Class::Init {
        return false;
    }
    match (member.class, &member.container.readiness_probe) {
        (Class::Init | Class::Ephemeral, _) => false,
        (_, None) => true,
        (_, Some(_)) => facts.memory.probes(member.name(), &seen.id).is_some_and(|probes| probes.ready),
    }
}

fn running(started_at: Option<Time>) -> ContainerState {
    ContainerState { running: Some(ContainerStateRunning { started_at }), ..ContainerState::default() }
}

fn waiting(reason: &str, message: Option<String>) -> ContainerState {
    let waiting = ContainerStateWaiting { reason: Some(reason.to_owned()), message: message.filter(|m| !m.is_empty()) };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

fn terminated(seen: &Container) -> ContainerState {
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    let reason = match (seen.reason.as_str(), seen.exit_code) {
        ("", 0) => Some("Completed".to_owned()),
        ("", _) => Some("Error".to_owned()),
        _ => text(&seen.reason),
    };
    let terminated = ContainerStateTerminated {
        container_id: Some(format!("containerd://{}", seen.id)),
        exit_code: seen.exit_code,
        finished_at: seen.finished.map(super::seconds),
        message: text(&seen.message),
        reason,
        signal: None,
        started_at: seen.started.map(super::seconds),
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

/// A container that should have been there when its pod stopped.
fn lost() -> ContainerState {
    let terminated = ContainerStateTerminated {
        exit_code: 137,
        reason: Some("ContainerStatusUnknown".to_owned()),
        message: Some("The container could not be located when the pod was terminated".to_owned()),
        ..ContainerStateTerminated::default()
    };
    ContainerState { terminated: Some(terminated), ..ContainerState::default() }
}

fn resources(member: &Member, status: &mut ContainerStatus) {
    let Some(resources) = &member.container.resources else { return };
    status.allocated_resources = resources.requests.clone();
    if resources.requests.is_some() || resources.limits.is_some() {
        status.resources = Some(resources.clone());
    }
}

fn mounts(member: &Member, status: &mut ContainerStatus) {
    let mounts = member.container.volume_mounts.iter().flatten().map(|mount| VolumeMountStatus {
        mount_path: mount.mount_path.clone(),
        name: mount.name.clone(),
        read_only: mount.read_only.filter(|read_only| *read_only),
        recursive_read_only: mount.read_only.filter(|read_only| *read_only).map(|_| "Disabled".to_owned()),
        ..VolumeMountStatus::default()
    });
    let mounts: Vec<_> = mounts.collect();
    status.volume_mounts = (!mounts.is_empty()).then_some(mounts);
}
