//! A container is killed because it uses more memory than its limit (or its node) has.

use std::sync::LazyLock;

use regex::Regex;

use super::subjects;
use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Finding, Fix, Place, Severity};
use crate::read::pods::Container;
use crate::read::{Message, Pod, Read};
use crate::rule::{Findings, Rule};
use crate::text::Position;

pub const RULE: Rule = Rule {
    code: "SM0601",
    key: "oom-killed",
    title: "container is killed at its memory limit",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

/// A container that was killed within so many seconds is likely to be killed again.
const LATELY: i64 = 600;

static KERNEL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)(memory cgroup )?out of memory:? kill(?:ed)? process (\d+),? \(?([^\s),]+)").ok()
});

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut told = false;
    for pod in &read.pods {
        for container in &pod.containers {
            if container.ended.as_ref().is_some_and(|ended| ended.reason == "OOMKilled") {
                told = true;
                of_container(evidence, pod, container, findings);
            }
        }
    }
    for row in read.pod_rows.iter().filter(|row| row.status == "OOMKilled") {
        told = true;
        let namespace = row.namespace.as_deref().unwrap_or_default();
        let place = subjects::object("Pod", namespace, &row.name, "");
        let cause = format!("a container of {} was killed for its memory", subjects::named(namespace, &row.name, "the pod"));
        let finding = findings.proven(place, cause);
        finding.quote(row.item, row.line);
        remedies(finding, "");
    }
    if !told {
        told = of_words(evidence, findings);
    }
    if !told {
        of_kernel(evidence, findings);
    }
}

fn of_container(evidence: &Evidence, pod: &Pod, container: &Container, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let limit = match container.memory_limit.as_str() {
        "" => "for its memory".to_owned(),
        limit => format!("at its memory limit of {limit}"),
    };
    let field = format!("spec.containers[{}].resources.limits.memory", container.name);
    let cause = format!("the container `{}` was killed {limit}", container.name);
    let troubles: Vec<&Message> = symptoms(read, pod).collect();
    let finding = findings.proven(subjects::pod(pod, field), cause);
    // It is Ready between two deaths.
    let lately = container.ended.as_ref().and_then(|ended| ended.ago).is_some_and(|ago| ago < LATELY);
    if container.ready && troubles.is_empty() && !lately {
        finding.severity(Severity::Note);
    }
    for message in troubles {
        finding.message(message);
    }
    finding.quote_word(evidence, pod.item, "OOMKilled");
    remedies(finding, &container.memory_limit);
}

/// What a pod shows whose container is killed again and again.
fn symptoms<'a>(read: &'a Read, pod: &Pod) -> impl Iterator<Item = &'a Message> {
    let again = |message: &&Message| {
        message.reason == "BackOff" || message.reason == "CrashLoopBackOff" || message.reason == "OOMKilled"
    };
    read.about(pod).filter(|message| message.is_failure()).filter(again)
}

/// The word alone, in a cutting of a description or of JSON.
fn of_words(evidence: &Evidence, findings: &mut Findings<'_>) -> bool {
    use ItemKind::{CrictlOutput, KubectlOutput, PodEvents, PodStatus, Text};
    let items = evidence.items().iter().enumerate();
    let mut texts = items.filter(|(_, item)| {
        matches!(item.kind, KubectlOutput | PodEvents | PodStatus | Text | CrictlOutput) && !item.text.contains("kind: ")
    });
    let Some((number, item, at)) = texts.find_map(|(number, item)| Some((number, item, item.text.find("OOMKilled")?)))
    else {
        return false;
    };
    let place = Place::Object { kind: "Pod".to_owned(), namespace: String::new(), name: String::new(), field: String::new() };
    let finding = findings.proven(place, "a container was killed for its memory");
    finding.quote(number, Position::of(&item.text, at).line);
    for message in evidence.read().failures().filter(|one| one.text.contains("Back-off restarting")) {
        finding.message(message);
    }
    remedies(finding, "");
    true
}

/// The kernel's words, or containerd's.
fn of_kernel(evidence: &Evidence, findings: &mut Findings<'_>) {
    // A journal tells of the past: where all pods are listed, these say how their containers ended.
    let listed = evidence.read().pods.iter().any(|pod| evidence.items()[pod.item].kind == ItemKind::Objects);
    for message in &evidence.read().messages {
        let killed = KERNEL.as_ref().and_then(|words| words.captures(&message.text));
        let cause = match killed {
            Some(found) if found.get(1).is_some() => {
                format!("the kernel killed `{}` at the memory limit of its container", &found[3])
            }
            Some(found) => format!("the kernel killed `{}` because the node had no memory left", &found[3]),
            None if message.text.contains("TaskOOM event") && !listed => "a container was killed for its memory".to_owned(),
            None => continue,
        };
        let place = Place::Machine { node: message.node.clone(), what: "memory".to_owned() };
        remedies(findings.likely(place, cause).message(message), "");
    }
}

fn remedies(finding: &mut Finding, limit: &str) {
    let title = match limit {
        "" => "raise `resources.limits.memory`, or make the program use less".to_owned(),
        limit => format!("raise `resources.limits.memory` above {limit}, or make the program use less"),
    };
    finding.fix(Fix::manual(title).step("kubectl top pod --containers").step("kubectl logs --previous POD"));
}
