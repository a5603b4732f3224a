//! What is left to do for a pod that must stop.
//!
//! In this order: main and init containers together, sidecars in reverse, the sandbox; then, when the
//! object is being deleted, the last status, everything in the runtime, files and cgroups, the object.
//! A pod that ended by itself keeps its dead containers for their logs.

use jiff::SignedDuration;

use crate::pod::decide::{Action, Decision, Facts};
use crate::pod::members::{self, Class};
use crate::pod::memory::Volumes;
use crate::pod::observed::Container;

/// Even a container whose turn comes when the grace period is over gets this long, in seconds.
const LEAST_GRACE: i64 = 2;

pub(crate) fn decide(facts: &Facts, decision: &mut Decision) {
    if kill(facts, decision) {
        return;
    }
    if let Some(after) = facts.memory.cleanup_after.filter(|after| *after > facts.now) {
        return decision.wake_at(after);
    }
    let mut quiet = true;
    for sandbox in facts.seen.sandboxes.iter().filter(|sandbox| sandbox.ready) {
        quiet = false;
        decision.act(Action::StopSandbox { id: sandbox.id.clone() });
    }
    if !quiet {
        return;
    }
    let deleted = facts.pod.metadata.deletion_timestamp.is_some();
    if !deleted && !facts.memory.gone {
        if facts.memory.volumes != Volumes::Unmounted {
            decision.act(Action::Unmount);
        }
        return;
    }
    // How the containers ended is known from the runtime only: it must be told first.
    if !facts.memory.final_reported && !facts.memory.gone {
        return;
    }
    for sandbox in &facts.seen.sandboxes {
        decision.act(Action::RemoveSandbox { id: sandbox.id.clone() });
    }
    if facts.seen.sandboxes.is_empty() {
        decision.act(Action::Finish);
    }
}

/// Kills whose turn it is; whether anything is still alive.
fn kill(facts: &Facts, decision: &mut Decision) -> bool {
    let is_sidecar = |container: &&Container| {
        let member = facts.spec().and_then(|spec| members::find(spec, &container.name));
        member.is_some_and(|member| member.class == Class::Sidecar)
    };
    let (sidecars, others): (Vec<_>, Vec<_>) = facts.seen.alive().partition(is_sidecar);
    let turn = if others.is_empty() { last_sidecar(facts, &sidecars) } else { others };
    for container in &turn {
        decision.act(Action::Kill {
            id: container.id.clone(),
            name: container.name.clone(),
            grace: grace(facts, container),
            message: format!("Stopping container {}", container.name),
        });
    }
    !turn.is_empty()
}

fn last_sidecar<'a>(facts: &Facts, sidecars: &[&'a Container]) -> Vec<&'a Container> {
    let names = facts.spec().map(|spec| members::init(spec).map(|member| member.name().to_owned()).collect::<Vec<_>>());
    let place = |container: &&&Container| names.iter().flatten().position(|name| *name == container.name);
    sidecars.iter().max_by_key(place).copied().into_iter().collect()
}

/// What is left of the grace period, in seconds.
fn grace(facts: &Facts, container: &Container) -> i64 {
    let meta = &facts.pod.metadata;
    let spec = facts.spec().and_then(|spec| spec.termination_grace_period_seconds);
    let asked = meta.deletion_grace_period_seconds.filter(|_| meta.deletion_timestamp.is_some());
    let verdict = facts.memory.verdict.as_ref().and_then(|verdict| verdict.grace);
    let whole = asked.or(verdict).or(spec).unwrap_or(container.notes.grace);
    let since = facts.memory.stopping_since.unwrap_or(facts.now);
    let passed: SignedDuration = facts.now.duration_since(since);
    if passed.as_secs() == 0 { whole } else { (whole - passed.as_secs()).max(LEAST_GRACE.min(whole)) }
}
