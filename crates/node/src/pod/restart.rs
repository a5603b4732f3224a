//! Which containers of a pod with a good sandbox are started, and when.
//!
//! Order is a promise of Kubernetes: an init container runs when the one before it has ended well (or,
//! for a sidecar, has started), and main containers only after all of them.

use k8s_openapi::api::core::v1::{Container as Spec, PodSpec};

use crate::pod::decide::{Action, Decision, Facts};
use crate::pod::members::{self, Class, Member};
use crate::pod::observed::{Container, State};

/// What comes of a container that is not running.
enum Next {
    Start,
    Never,
}

/// Decides which containers to start.
pub(crate) fn decide(facts: &Facts, spec: &PodSpec, decision: &mut Decision) {
    for member in members::ephemeral(spec) {
        if facts.seen.newest(member.name()).is_none() {
            start(facts, &member, decision);
        }
    }
    let initialized = facts.initialized();
    if !initialized && !initialize(facts, spec, decision) {
        return;
    }
    if all_done(facts, spec) {
        return stop_sidecars(facts, spec, decision);
    }
    if initialized {
        for member in members::init(spec).filter(|member| member.class == Class::Sidecar) {
            start_unless_alive(facts, spec, &member, decision);
        }
    }
    for member in members::main(spec) {
        start_unless_alive(facts, spec, &member, decision);
    }
}

/// Whether a new sandbox would have anything to run.
pub(crate) fn anything_to_run(facts: &Facts, spec: &PodSpec) -> bool {
    let init_failed = members::init(spec).any(|member| {
        let seen = facts.seen.newest(member.name());
        member.class == Class::Init
            && seen.is_some_and(|seen| seen.state == State::Exited && seen.exit_code != 0)
            && matches!(seen.map(|seen| next(spec, &member, seen)), Some(Next::Never))
    });
    if init_failed {
        return false;
    }
    members::main(spec).any(|member| match facts.seen.newest(member.name()) {
        None => true,
        Some(seen) => matches!(next(spec, &member, seen), Next::Start),
    })
}

/// Walks through the init containers up to the first that is not done; whether all are.
fn initialize(facts: &Facts, spec: &PodSpec, decision: &mut Decision) -> bool {
    for member in members::init(spec) {
        match facts.seen.current(member.name()) {
            Some(seen) if member.class == Class::Sidecar && facts.started(&member, seen) => {}
            Some(seen) if member.class == Class::Init && seen.state == State::Exited && seen.exit_code == 0 => {}
            _ => {
                start_unless_alive(facts, spec, &member, decision);
                return false;
            }
        }
    }
    true
}

/// Whether every main container has ended for good.
pub(crate) fn all_done(facts: &Facts, spec: &PodSpec) -> bool {
    !spec.containers.is_empty()
        && members::main(spec).all(|member| {
            let seen = facts.seen.newest(member.name());
            seen.is_some_and(|seen| seen.state == State::Exited && matches!(next(spec, &member, seen), Next::Never))
        })
}

/// Sidecars end after the main containers, in reverse order.
fn stop_sidecars(facts: &Facts, spec: &PodSpec, decision: &mut Decision) {
    let last = members::init(spec).rev().find_map(|member| {
        let seen = facts.seen.current(member.name()).filter(|seen| seen.alive())?;
        Some((member.name().to_owned(), seen))
    });
    if let Some((name, seen)) = last {
        decision.act(Action::Kill {
            id: seen.id.clone(),
            message: format!("Stopping container {name}"),
            name,
            grace: spec.termination_grace_period_seconds.unwrap_or(seen.notes.grace),
        });
    }
}

fn start_unless_alive(facts: &Facts, spec: &PodSpec, member: &Member, decision: &mut Decision) {
    match facts.seen.current(member.name()) {
        Some(seen) if seen.alive() => {}
        // It never ran: the same attempt is made anew.
        Some(seen) if seen.state == State::Created => decision.act(Action::Remove { id: seen.id.clone() }),
        Some(seen) => match next(spec, member, seen) {
            Next::Never => {}
            Next::Start => restart(facts, member, seen, decision),
        },
        // A record of an earlier sandbox counts for whether, but not for when.
        None if member.class == Class::Main => match facts.seen.newest(member.name()) {
            Some(seen) if seen.state == State::Exited && matches!(next(spec, member, seen), Next::Never) => {}
            _ => start(facts, member, decision),
        },
        None => start(facts, member, decision),
    }
}

/// Starts a container again, unless it has to wait after its last end.
fn restart(facts: &Facts, member: &Member, seen: &Container, decision: &mut Decision) {
    let ended = seen.finished.unwrap_or(seen.created);
    let memory = facts.memory.containers.get(member.name());
    let until = memory.map_or(ended, |memory| memory.crash.until(ended));
    if until <= facts.now {
        return start(facts, member, decision);
    }
    decision.wake_at(until);
    if let Some(memory) = memory {
        decision.backing_off.push((member.name().to_owned(), memory.crash.delay()));
    }
}

/// Starts a container, unless its last start failed too recently.
fn start(facts: &Facts, member: &Member, decision: &mut Decision) {
    let name = member.name();
    let trouble = facts.memory.containers.get(name).and_then(|memory| memory.trouble.as_ref());
    match trouble {
        Some(trouble) if trouble.retry_at > facts.now => decision.wake_at(trouble.retry_at),
        _ => decision.act(Action::Start { name: name.to_owned(), attempt: attempt(facts, name) }),
    }
}

/// How many times a container of that name ran before: as the runtime knows, or else the API server.
fn attempt(facts: &Facts, name: &str) -> u32 {
    let seen = facts.seen.containers.iter().filter(|container| container.name == name);
    if let Some(last) = seen.map(|container| container.notes.restart_count).max() {
        return last + 1;
    }
    let Some(status) = &facts.pod.status else { return 0 };
    let lists = [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
    let reported = lists.into_iter().flatten().flatten().find(|status| status.name == name);
    reported.map_or(0, |status| {
        let ran = status.container_id.as_deref().is_some_and(|id| !id.is_empty());
        u32::try_from(status.restart_count).unwrap_or(0) + u32::from(ran)
    })
}

/// What the restart policy says about a container that ended.
fn next(spec: &PodSpec, member: &Member, seen: &Container) -> Next {
    if seen.state != State::Exited {
        return Next::Start;
    }
    let again = match member.class {
        Class::Ephemeral => false,
        Class::Sidecar => true,
        Class::Init => seen.exit_code != 0 && policy(spec, &member.container, seen.exit_code) != "Never",
        Class::Main => match policy(spec, &member.container, seen.exit_code) {
            "Never" => false,
            "OnFailure" => seen.exit_code != 0,
            _ => true,
        },
    };
    if again { Next::Start } else { Next::Never }
}

/// Whether a container that ended so may run again.
pub(crate) fn restarts(spec: &PodSpec, member: &Member, seen: &Container) -> bool {
    matches!(next(spec, member, seen), Next::Start)
}

/// The restart policy for an exit code: the container's own rules and policy come first (KEP-5307).
fn policy<'a>(spec: &'a PodSpec, container: &'a Spec, exit_code: i32) -> &'a str {
    for rule in container.restart_policy_rules.iter().flatten() {
        let Some(codes) = &rule.exit_codes else { continue };
        let listed = codes.values.iter().flatten().any(|code| *code == exit_code);
        let matched = if codes.operator == "NotIn" { !listed } else { listed };
        if matched && rule.action.starts_with("Restart") {
            return "Always";
        }
    }
    container.restart_policy.as_deref().or(spec.restart_policy.as_deref()).unwrap_or("Always")
}
