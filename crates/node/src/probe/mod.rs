//! Probes: asking containers, again and again, whether they have started, live, and are ready.
//!
//! One task per probe and container. It counts successes and failures itself and tells the pod's worker
//! only what its thresholds make of them.

pub(crate) mod ask;
mod grpc;
pub(crate) mod http;
mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Probe;
use tokio::task::{AbortHandle, JoinSet};

use crate::event::{About, Level};
use crate::node::Node;
use crate::pod::decide::Facts;
use crate::pod::inbox::Inbox;
use crate::pod::members::{self, Class, Member};
use crate::pod::memory::Memory;
use crate::pod::observed::{Container, State};

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ProbeKind {
    Startup,
    Liveness,
    Readiness,
}

impl ProbeKind {
    fn word(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }

    fn of(self, member: &Member) -> Option<Probe> {
        match self {
            Self::Startup => member.container.startup_probe.clone(),
            Self::Liveness => member.container.liveness_probe.clone(),
            Self::Readiness => member.container.readiness_probe.clone(),
        }
    }
}

/// What a probe's thresholds make of its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeResult {
    Success,
    Failure,
}

/// The probes of one pod.
#[derive(Default)]
pub(crate) struct Prober {
    running: BTreeMap<(String, ProbeKind), AbortHandle>,
    tasks: JoinSet<()>,
}

impl Prober {
    /// Starts the probes that are due and ends those that are not any more.
    pub(crate) fn sync(&mut self, node: &Arc<Node>, inbox: &Arc<Inbox>, facts: &Facts) {
        let wanted = wanted(facts);
        self.running.retain(|key, task| {
            let keep = wanted.contains_key(key);
            if !keep {
                task.abort();
            }
            keep
        });
        for (key, target) in wanted {
            if !self.running.contains_key(&key) {
                let task = probe(node.clone(), inbox.clone(), key.1, target);
                self.running.insert(key, self.tasks.spawn(task));
            }
        }
        // Only to let go of what has ended.
        while self.tasks.try_join_next().is_some() {}
    }
}

/// A container to probe.
#[derive(Clone)]
pub(crate) struct Target {
    pub id: String,
    pub name: String,
    pub about: About,
    /// Where its ports are.
    pub host: String,
    /// Its ports by name.
    pub ports: BTreeMap<String, i32>,
    probe: Probe,
    since: Timestamp,
}

/// The ports of a container by name.
pub(crate) fn ports(member: &Member) -> BTreeMap<String, i32> {
    let ports = member.container.ports.iter().flatten();
    ports.filter_map(|port| Some((port.name.clone()?, port.container_port))).collect()
}

fn wanted(facts: &Facts) -> BTreeMap<(String, ProbeKind), Target> {
    let mut wanted = BTreeMap::new();
    let Some(spec) = facts.spec() else { return wanted };
    let host = match facts.seen.sandbox() {
        Some(sandbox) if !sandbox.host_network => sandbox.ips.first().cloned().unwrap_or_default(),
        _ => facts.pod.status.as_ref().and_then(|status| status.host_ip.clone()).unwrap_or_default(),
    };
    for member in members::init(spec).chain(members::main(spec)).filter(|member| member.class != Class::Init) {
        let Some(seen) = facts.seen.current(member.name()).filter(|seen| seen.state == State::Running) else {
            continue;
        };
        for &kind in due(facts, &member, seen) {
            let Some(probe) = kind.of(&member) else { continue };
            let target = Target {
                id: seen.id.clone(),
                name: member.name().to_owned(),
                about: About::container(&crate::labels::PodRef::of(facts.pod), &member.field_path()),
                host: host.clone(),
                ports: ports(&member),
                probe,
                since: seen.started.unwrap_or(seen.created),
            };
            wanted.insert((seen.id.clone(), kind), target);
        }
    }
    wanted
}

/// Nothing else is asked before a container has started, and a pod that stops is only asked for readiness.
fn due(facts: &Facts, member: &Member, seen: &Container) -> &'static [ProbeKind] {
    match (facts.started(member, seen), facts.stopping()) {
        (true, true) => &[ProbeKind::Readiness],
        (true, false) => &[ProbeKind::Liveness, ProbeKind::Readiness],
        (false, true) => &[],
        (false, false) => &[ProbeKind::Startup],
    }
}

/// Probes until aborted, or until the result is final.
async fn probe(node: Arc<Node>, inbox: Arc<Inbox>, kind: ProbeKind, target: Target) {
    let spec = &target.probe;
    let delay = SignedDuration::from_secs(i64::from(spec.initial_delay_seconds.unwrap_or(0)));
    let wait = (target.since + delay).duration_since(Timestamp::now());
    tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).await;
    let period = Duration::from_secs(u64::try_from(spec.period_seconds.unwrap_or(10)).unwrap_or(10).max(1));
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut streak = Streak::new(spec);
    loop {
        ticks.tick().await;
        let answer = ask::ask(&node, &target, spec).await;
        if let Err(problem) = &answer {
            let message = format!("{} probe {problem}", kind.word());
            node.events.record(&target.about, Level::Warning, "Unhealthy", &message);
        }
        let Some(result) = streak.count(answer.is_ok()) else { continue };
        inbox.tell(|news| {
            news.probes.insert((target.id.clone(), kind), result);
        });
        let settled = match kind {
            ProbeKind::Startup => true,
            ProbeKind::Liveness => result == ProbeResult::Failure,
            ProbeKind::Readiness => false,
        };
        if settled {
            return;
        }
    }
}

/// Consecutive answers of the same kind.
struct Streak {
    success_threshold: i32,
    failure_threshold: i32,
    good: bool,
    n_same: i32,
    told: Option<ProbeResult>,
}

impl Streak {
    fn new(probe: &Probe) -> Self {
        Self {
            success_threshold: probe.success_threshold.unwrap_or(1).max(1),
            failure_threshold: probe.failure_threshold.unwrap_or(3).max(1),
            good: false,
            n_same: 0,
            told: None,
        }
    }

    /// The new result, if it changes with this answer.
    fn count(&mut self, good: bool) -> Option<ProbeResult> {
        self.n_same = if self.good == good { self.n_same.saturating_add(1) } else { 1 };
        self.good = good;
        let (threshold, result) = match good {
            true => (self.success_threshold, ProbeResult::Success),
            false => (self.failure_threshold, ProbeResult::Failure),
        };
        if self.n_same < threshold || self.told == Some(result) {
            return None;
        }
        self.told = Some(result);
        Some(result)
    }
}

/// Puts a result into the memory of the worker.
pub(crate) fn remember(memory: &mut Memory, name: &str, id: &str, kind: ProbeKind, result: ProbeResult) {
    let probes = &mut memory.containers.entry(name.to_owned()).or_default().probes;
    if probes.id != id {
        *probes = crate::pod::memory::Probes { id: id.to_owned(), ..Default::default() };
    }
    let good = result == ProbeResult::Success;
    match kind {
        ProbeKind::Startup => (probes.started, probes.startup_failed) = (good, !good),
        ProbeKind::Readiness => probes.ready = good,
        ProbeKind::Liveness if good => {}
        ProbeKind::Liveness => probes.alive = crate::pod::memory::Alive::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds() {
        let probe = Probe { success_threshold: Some(2), failure_threshold: Some(3), ..Probe::default() };
        let mut streak = Streak::new(&probe);
        let answers = [true, true, true, false, false, true, false, false, false, false, true, true];
        let told: Vec<_> = answers.into_iter().map(|good| streak.count(good)).collect();
        let (success, failure) = (Some(ProbeResult::Success), Some(ProbeResult::Failure));
        let expected = [None, success, None, None, None, None, None, None, failure, None, None, success];
        assert_eq!(told, expected);
    }
}
