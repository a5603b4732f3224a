//! The kubelet says that a Secret or ConfigMap is not there, but it is.

use std::collections::HashSet;

use super::references::{self, Known};
use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0609",
    key: "kubelet-object-cache-stale",
    title: "kubelet does not see an object that exists",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let failures = read.failures().filter_map(|message| {
        let mut missing = references::missing(message)?;
        if missing.namespace.is_empty() {
            missing.namespace = references::namespace_of(read, message).unwrap_or_default();
        }
        Some((missing, message))
    });
    for (missing, messages) in subjects::grouped(failures) {
        let age = messages.iter().filter_map(|message| message.age).min();
        if missing.known(read, age) != Known::Exists {
            continue;
        }
        let kind = if missing.kind == "Secret" { "secret" } else { "config map" };
        let name = subjects::named(&missing.namespace, &missing.name, "it");
        let cause = format!("the {kind} {name} exists, but the kubelet of {} does not see it", subjects::pods_of(&messages));
        let finding = findings.proven(subjects::object(missing.kind, &missing.namespace, &missing.name, ""), cause);
        for message in messages {
            finding.message(message);
        }
        finding.fix(remedy());
    }
    of_caches(evidence, findings);
}

/// The kubelet's own words for objects that it does not follow.
fn of_caches(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut told: HashSet<(String, String)> = HashSet::new();
    for message in read.failures() {
        let registered = references::not_registered(message);
        let timed_out = message.text.contains("failed to sync") && message.text.contains("cache: timed out waiting");
        if registered.is_none() && !timed_out {
            continue;
        }
        let object = registered.unwrap_or_default();
        if !told.insert(object.clone()) {
            continue;
        }
        let name = subjects::named(&object.0, &object.1, "an object that a pod uses");
        let cause = format!("the kubelet of {} has no current view of {name}", subjects::pods_of(&[message]));
        let finding = findings.likely(subjects::pod_of(message), cause);
        finding.message(message).weigh(-1);
        // A moment of this is usual when pods start and end.
        if message.count < 3 {
            finding.severity(Severity::Note);
        }
        finding.fix(remedy());
    }
}

fn remedy() -> Fix {
    Fix::manual("look at the kubelet's connection to the API server")
        .step("journalctl -u kubelet | grep -E 'reflector|Failed to watch|Unauthorized|no relationship'")
        .step("systemctl restart kubelet as a stopgap")
}
