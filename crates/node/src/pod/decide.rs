//! What to do next for one pod: a pure function from what is known to actions.
//!
//! Invariant: level-triggered. The same facts give the same actions, whatever happened before; an
//! action that is already being carried out, or whose effect is not visible yet, may be decided again
//! and does nothing then.
//!
//! Deliberately absent: IO, clocks, and the status that is reported (see [`super::status`]).

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodSpec};

use crate::pod::members::{self, Class, Member};
use crate::pod::memory::{Alive, Memory, Volumes};
use crate::pod::observed::{Container, Observed, State};
use crate::pod::{resources, restart, wind_down};

/// All that a decision may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub pod: &'a Pod,
    pub seen: &'a Observed,
    pub memory: &'a Memory,
    pub now: Timestamp,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make the pod's volumes available.
    Mount,
    /// Make a sandbox.
    RunSandbox { attempt: u32 },
    /// Create and start a container in the newest sandbox.
    Start { name: String, attempt: u32 },
    /// Stop a container: preStop hook, signal, and SIGKILL after `grace` seconds.
    Kill { id: String, name: String, grace: i64, message: String },
    /// Change the limits of a running container (KEP-1287).
    Resize { name: String },
    /// Stop what is left of a sandbox and its network.
    StopSandbox { id: String },
    /// Remove a dead container.
    Remove { id: String },
    /// Remove a dead sandbox with its containers.
    RemoveSandbox { id: String },
    /// Take the volumes away.
    Unmount,
    /// End the pod as failed.
    Fail { reason: String, message: String },
    /// Nothing is left in the runtime: remove files and cgroups, and the object itself.
    Finish,
}

/// Actions, and when to look again if nothing happens before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    pub actions: Vec<Action>,
    pub wake_at: Option<Timestamp>,
    /// Containers that may not be restarted yet, with the delay in force.
    pub backing_off: Vec<(String, SignedDuration)>,
}

impl Decision {
    pub(crate) fn act(&mut self, action: Action) {
        self.actions.push(action);
    }

    /// Looks again at `at`, or earlier.
    pub(crate) fn wake_at(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |earlier| earlier.min(at)));
    }
}

impl<'a> Facts<'a> {
    pub(crate) fn spec(&self) -> Option<&'a PodSpec> {
        self.pod.spec.as_ref()
    }

    /// Whether the pod must stop, and is not to be started again.
    pub fn stopping(&self) -> bool {
        let meta = &self.pod.metadata;
        meta.deletion_timestamp.is_some() || self.memory.gone || self.memory.verdict.is_some() || self.ended()
    }

    /// Whether the API server has the pod as ended.
    pub(crate) fn ended(&self) -> bool {
        let phase = self.pod.status.as_ref().and_then(|status| status.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed"))
    }

    /// Whether all init containers have done their work in the newest sandbox.
    ///
    /// Their records may be gone by then; main containers in the sandbox prove it too.
    pub fn initialized(&self) -> bool {
        let Some(spec) = self.spec() else { return true };
        if members::main(spec).any(|member| self.seen.current(member.name()).is_some()) {
            return true;
        }
        members::init(spec).all(|member| match self.seen.current(member.name()) {
            Some(seen) if member.class == Class::Sidecar => seen.state == State::Running && self.started(&member, seen),
            Some(seen) => seen.state == State::Exited && seen.exit_code == 0,
            None => false,
        })
    }

    /// Whether a running container is through with its postStart hook and its startup probe, if it has any.
    pub fn started(&self, member: &Member, seen: &Container) -> bool {
        let hooked = member.container.lifecycle.as_ref().is_some_and(|lifecycle| lifecycle.post_start.is_some());
        if seen.state != State::Running || hooked && self.memory.starting.as_deref() == Some(member.name()) {
            return false;
        }
        if member.container.startup_probe.is_none() {
            return true;
        }
        self.memory.probes(member.name(), &seen.id).is_some_and(|probes| probes.started)
    }
}

/// Decides what to do for a pod.
pub fn decide(facts: &Facts) -> Decision {
    let mut decision = Decision::default();
    if facts.stopping() {
        wind_down::decide(facts, &mut decision);
        return decision;
    }
    let Some(spec) = facts.spec() else { return decision };
    if deadline_exceeded(facts, spec, &mut decision) {
        return decision;
    }
    tidy(facts, &mut decision);
    if needs_sandbox(facts, spec) {
        new_sandbox(facts, spec, &mut decision);
    } else {
        kill_unwanted(facts, spec, &mut decision);
        restart::decide(facts, spec, &mut decision);
    }
    decision
}

/// `activeDeadlineSeconds` counts from the pod's start on this node.
fn deadline_exceeded(facts: &Facts, spec: &PodSpec, decision: &mut Decision) -> bool {
    let Some(seconds) = spec.active_deadline_seconds else { return false };
    let started = facts.pod.status.as_ref().and_then(|status| status.start_time.as_ref());
    let Some(started) = started else { return false };
    let deadline = started.0 + SignedDuration::from_secs(seconds);
    if facts.now < deadline {
        decision.wake_at(deadline);
        return false;
    }
    decision.act(Action::Fail {
        reason: "DeadlineExceeded".to_owned(),
        message: "Pod was active on the node longer than the specified deadline".to_owned(),
    });
    true
}

/// Removes what nobody will ask about: all but the newest dead container of each name and the one
/// before it, and dead sandboxes without containers.
fn tidy(facts: &Facts, decision: &mut Decision) {
    if let Some(after) = facts.memory.cleanup_after.filter(|after| *after > facts.now) {
        decision.wake_at(after);
        return;
    }
    for (at, container) in facts.seen.containers.iter().enumerate() {
        let newer = facts.seen.containers.iter().take(at).filter(|other| other.name == container.name).count();
        // The newest one is current; one dead one stays for `logs --previous` and lastState.
        if newer >= 2 && !container.alive() {
            decision.act(Action::Remove { id: container.id.clone() });
        }
    }
    for sandbox in facts.seen.sandboxes.iter().skip(1).filter(|sandbox| !sandbox.ready) {
        let used = facts.seen.containers.iter().any(|container| container.sandbox == sandbox.id);
        if !used {
            decision.act(Action::RemoveSandbox { id: sandbox.id.clone() });
        }
    }
}

/// Whether the newest sandbox cannot be used.
pub(crate) fn needs_sandbox(facts: &Facts, spec: &PodSpec) -> bool {
    let Some(sandbox) = facts.seen.sandbox() else { return true };
    let host_network = spec.host_network.unwrap_or(false);
    let n_ready = facts.seen.sandboxes.iter().filter(|sandbox| sandbox.ready).count();
    !sandbox.ready || n_ready > 1 || sandbox.host_network != host_network || (!host_network && sandbox.ips.is_empty())
}

/// Clears the way for a new sandbox, then makes it.
fn new_sandbox(facts: &Facts, spec: &PodSpec, decision: &mut Decision) {
    let mut clear = true;
    for container in facts.seen.alive() {
        clear = false;
        decision.act(Action::Kill {
            id: container.id.clone(),
            name: container.name.clone(),
            grace: spec.termination_grace_period_seconds.unwrap_or(container.notes.grace),
            message: format!("Stopping container {}", container.name),
        });
    }
    if clear {
        for sandbox in facts.seen.sandboxes.iter().filter(|sandbox| sandbox.ready) {
            decision.act(Action::StopSandbox { id: sandbox.id.clone() });
            clear = false;
        }
    }
    if !clear || !restart::anything_to_run(facts, spec) {
        return;
    }
    match &facts.memory.volumes {
        Volumes::Mounted => {}
        Volumes::Failed(failure) if failure.retry_at > facts.now => return decision.wake_at(failure.retry_at),
        Volumes::Failed(_) | Volumes::Unmounted => return decision.act(Action::Mount),
    }
    if let Some(failure) = facts.memory.sandbox_failure.as_ref().filter(|failure| failure.retry_at > facts.now) {
        return decision.wake_at(failure.retry_at);
    }
    let attempt = facts.seen.sandboxes.iter().map(|sandbox| sandbox.attempt + 1).max().unwrap_or(0);
    decision.act(Action::RunSandbox { attempt });
}

/// How a container gets new limits.
enum Resize {
    InPlace,
    Restart,
}

/// Whether a running container's limits differ from its spec.
fn resize(facts: &Facts, member: &Member, seen: &Container) -> Option<Resize> {
    let has = seen.limits.filter(|_| matches!(member.class, Class::Main | Class::Sidecar))?;
    let wanted = resources::of_container(&member.container);
    let asked = facts.memory.containers.get(member.name()).and_then(|memory| memory.resized);
    // Once: a runtime that cannot is not asked for ever.
    if has == wanted || asked == Some(wanted) {
        return None;
    }
    let restarts = |resource: &str| {
        let mut policies = member.container.resize_policy.iter().flatten();
        policies.any(|policy| policy.resource_name == resource && policy.restart_policy == "RestartContainer")
    };
    let cpu = (has.cpu_shares, has.cpu_quota) != (wanted.cpu_shares, wanted.cpu_quota);
    let memory = has.memory != wanted.memory;
    Some(if cpu && restarts("cpu") || memory && restarts("memory") { Resize::Restart } else { Resize::InPlace })
}

/// Kills running containers that changed, that their probes gave up on, or that should not be there.
fn kill_unwanted(facts: &Facts, spec: &PodSpec, decision: &mut Decision) {
    for stray in facts.seen.alive() {
        let current = facts.seen.current(&stray.name).is_some_and(|current| current.id == stray.id);
        if !current || members::find(spec, &stray.name).is_none() {
            decision.act(Action::Kill {
                id: stray.id.clone(),
                name: stray.name.clone(),
                grace: stray.notes.grace,
                message: format!("Stopping container {}", stray.name),
            });
        }
    }
    for member in members::members(spec) {
        let name = member.name();
        let Some(seen) = facts.seen.current(name).filter(|seen| seen.alive()) else { continue };
        let grace = spec.termination_grace_period_seconds.unwrap_or(seen.notes.grace);
        let probes = facts.memory.probes(name, &seen.id);
        let (why, probe) = if seen.state == State::Unknown {
            ("is in unknown state, try killing it before restart", None)
        } else if member.class != Class::Ephemeral && seen.notes.hash != crate::labels::hash(&member.container) {
            ("definition changed, will be restarted", None)
        } else if probes.is_some_and(|probes| probes.alive == Alive::Failed) {
            ("failed liveness probe, will be restarted", member.container.liveness_probe.as_ref())
        } else if probes.is_some_and(|probes| probes.startup_failed) {
            ("failed startup probe, will be restarted", member.container.startup_probe.as_ref())
        } else {
            match resize(facts, &member, seen) {
                Some(Resize::InPlace) => decision.act(Action::Resize { name: name.to_owned() }),
                Some(Resize::Restart) => decision.act(Action::Kill {
                    id: seen.id.clone(),
                    name: name.to_owned(),
                    grace,
                    message: format!("Container {name} resize requires restart"),
                }),
                None => {}
            }
            continue;
        };
        decision.act(Action::Kill {
            id: seen.id.clone(),
            name: name.to_owned(),
            grace: probe.and_then(|probe| probe.termination_grace_period_seconds).unwrap_or(grace),
            message: match (seen.state, member.class) {
                (State::Unknown, _) => format!("Container {name} {why}"),
                (_, Class::Init | Class::Sidecar) => format!("Init container {name} {why}"),
                _ => format!("Container {name} {why}"),
            },
        });
    }
}
