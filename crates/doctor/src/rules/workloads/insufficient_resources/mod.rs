//! No node has as much free as a pod requests.

use std::collections::BTreeSet;

use super::{scheduling, subjects};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::Message;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0610",
    key: "insufficient-resources",
    title: "no node has the requested resources free",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let short = scheduling::failures(read).filter_map(|(message, unfit)| {
        let lacking: BTreeSet<&str> = unfit.reasons.iter().filter_map(|(_, reason)| resource(reason)).collect();
        let lacking: Vec<&str> = lacking.into_iter().collect();
        (!lacking.is_empty()).then(|| (lacking.join(" and "), message))
    });
    for (lacking, messages) in subjects::grouped(short) {
        let cause = format!("no node has enough {lacking} free for {}", subjects::pods_of(&messages));
        let place = match subjects::pod_of(messages[0]) {
            crate::finding::Place::Object { kind, namespace, name, .. } => {
                subjects::object(&kind, &namespace, &name, "spec.containers[*].resources.requests")
            }
            place => place,
        };
        let finding = findings.likely(place, cause);
        for message in &messages {
            finding.message(message);
        }
        for message in read.failures().filter(|other| is_about_growth(other)) {
            finding.message(message);
        }
        finding.fix(remedy());
    }
    for message in read.failures().filter(|message| is_rejected(message)) {
        let cause = format!("the node had too little left for {}: {}", subjects::pods_of(&[message]), message.text);
        findings.likely(subjects::pod_of(message), cause).message(message).fix(remedy());
    }
}

/// The resource that a reason says is short.
fn resource(reason: &str) -> Option<&str> {
    if reason.contains("Too many pods") {
        return Some("room for pods");
    }
    let (_, resource) = reason.split_once("Insufficient ")?;
    resource.split_whitespace().next().map(|word| word.trim_end_matches(['.', ',']))
}

fn is_about_growth(message: &Message) -> bool {
    matches!(message.reason.as_str(), "NotTriggerScaleUp" | "FailedScaleUp")
}

/// The kubelet sends back what does not fit (`OutOfcpu`).
fn is_rejected(message: &Message) -> bool {
    message.reason.starts_with("OutOf") && message.text.contains("enough resource")
}

fn remedy() -> Fix {
    Fix::manual("lower the requests, free some of what is reserved, or add a node")
        .step("kubectl describe nodes | grep -A8 'Allocated resources'")
        .step("kubectl top nodes shows what is used; the scheduler counts what is requested")
}
