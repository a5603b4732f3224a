//! A pod mounts or reads a secret that does not exist.

use super::references::{self, Known};
use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Severity};
use crate::read::{Message, Read};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0606",
    key: "secret-missing",
    title: "secret that a pod uses does not exist",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let failures = read.failures().filter_map(|message| {
        let mut missing = references::missing(message).filter(|missing| missing.kind == "Secret")?;
        if missing.namespace.is_empty() {
            missing.namespace = references::namespace_of(read, message).unwrap_or_default();
        }
        // What a tool says when it is asked is no pod's trouble; see `Known::Absent`.
        (!message.text.starts_with("Error from server")).then_some((missing, message))
    });
    for (missing, messages) in subjects::grouped(failures) {
        let known = missing.known(read, messages.iter().filter_map(|message| message.age).min());
        if matches!(known, Known::Exists | Known::Made) {
            continue;
        }
        let name = subjects::named(&missing.namespace, &missing.name, "it");
        let cause = format!("the secret {name}, which {} uses, does not exist", subjects::pods_of(&messages));
        let place = subjects::object("Secret", &missing.namespace, &missing.name, "");
        let finding =
            if known == Known::Absent { findings.proven(place, cause) } else { findings.likely(place, cause) };
        for message in messages {
            finding.message(message);
        }
        symptoms(read, finding);
        if let Some(other) = missing.elsewhere(read).filter(|other| *other != missing.namespace) {
            finding.note(format!("there is one of that name in the namespace `{other}`; pods see only their own"));
        }
        if let Some(near) = missing.near(read) {
            finding.note(format!("there is `{near}`"));
        }
        let namespace = subjects::in_namespace(&missing.namespace);
        finding.fix(
            Fix::manual("create it, or correct the name in the pod's template")
                .step(format!("kubectl get secrets{namespace}"))
                .step(format!("kubectl create secret generic {}{namespace} …", missing.name)),
        );
    }
}

/// Time-outs of the same mount are no trouble of their own.
fn symptoms(read: &Read, finding: &mut Finding) {
    let items: Vec<usize> = finding.quotes.iter().map(|quote| quote.item).collect();
    let timed_out = |message: &&Message| message.text.contains("nmounted volumes=") && items.contains(&message.item);
    for message in read.failures().filter(timed_out) {
        finding.message(message);
    }
}
