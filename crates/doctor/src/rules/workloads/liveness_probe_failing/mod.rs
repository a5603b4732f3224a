//! The kubelet restarts a container because its liveness or startup probe fails.

use std::collections::BTreeMap;

use super::subjects;
use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Fix, Severity};
use crate::read::{Message, Read};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0602",
    key: "liveness-probe-failing",
    title: "liveness probe fails and the container is restarted",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let about = read.messages.iter().filter(|message| !message.over && is_about_restarts(message));
    let mut groups: BTreeMap<(usize, &(String, String)), Vec<&Message>> = BTreeMap::new();
    for message in about {
        groups.entry((message.item, &message.pod)).or_default().push(message);
    }
    for messages in groups.values() {
        let Some(probe) = messages.iter().filter(|message| is_probe(message)).min_by_key(|message| message.age) else {
            continue;
        };
        let restarted = messages.iter().any(|message| is_restart(message) || message.text.contains("Back-off"));
        if is_old(read, probe) {
            continue;
        }
        let kind = if probe.text.starts_with("Startup") { "startup" } else { "liveness" };
        let words = probe.text.split_once(": ").map_or(probe.text.as_str(), |(_, words)| words).trim();
        let cause = format!("the {kind} probe of {} fails: {words}", subjects::pods_of(&[probe]));
        let place = subjects::pod_of(probe);
        let finding = if decides(evidence, probe) { findings.likely(place, cause) } else { findings.open(place, cause) };
        if !restarted && probe.count < 5 {
            finding.severity(Severity::Note);
        }
        for message in messages {
            finding.message(message);
        }
        finding.or(&["oom-killed", "entrypoint-not-found"]).needs(&[
            "kubectl logs --previous",
            "Last State (reason, exit code) in kubectl describe pod",
            "probe definition (port, path, delay, timeout)",
        ]);
        finding.fix(
            Fix::manual("read the program's log first; then correct the probe's port, path or times, or the program")
                .step(format!("kubectl logs --previous {}{}", probe.pod.1, subjects::in_namespace(&probe.pod.0)))
                .step("a program that starts slowly needs a startupProbe, not a longer liveness delay"),
        );
    }
}

fn is_about_restarts(message: &Message) -> bool {
    is_probe(message) || is_restart(message) || message.reason == "BackOff" && message.text.contains("restarting")
}

fn is_probe(message: &Message) -> bool {
    ["Liveness probe failed", "Liveness probe errored", "Startup probe failed", "Startup probe errored"]
        .iter()
        .any(|words| message.text.starts_with(words))
        && !message.text.contains("in $PATH")
}

fn is_restart(message: &Message) -> bool {
    let text = &message.text;
    (text.contains("liveness probe") || text.contains("startup probe")) && text.contains("will be restarted")
}

/// Whether the container has run without complaint for long since.
fn is_old(read: &Read, probe: &Message) -> bool {
    let same = |other: &&Message| other.item == probe.item && other.pod == probe.pod;
    let started = read.messages.iter().filter(same).filter(|other| other.reason == "Started").filter_map(|other| other.age);
    started.min().zip(probe.age).is_some_and(|(started, failed)| failed > started + 300)
}

/// Whether there is more than events: the program's log, its last state or the probe itself.
fn decides(evidence: &Evidence, probe: &Message) -> bool {
    if probe.text.contains("statuscode") {
        return true;
    }
    let described = evidence.read().pods.iter().any(|pod| probe.pod.1.is_empty() || pod.name == probe.pod.1);
    let more = evidence.items().iter().any(|item| {
        let source = item.origin.source();
        item.kind == ItemKind::Manifest
            || source.contains(" logs")
            || ["livenessProbe", "Liveness:", "Last State"].iter().any(|words| item.text.contains(words))
    });
    described || more
}
