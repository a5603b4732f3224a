//! A PersistentVolumeClaim names a class that does not exist.

use std::sync::LazyLock;

use regex::Regex;

use super::claims::{self, Claim};
use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Severity};
use crate::near::nearest;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0615",
    key: "pvc-storageclass-not-found",
    title: "storage class of a claim does not exist",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static CLASS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)storageclass(?:\.storage\.k8s\.io|es\.storage\.k8s\.io)? "([^"]+)" not found"#).ok());

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut told = false;
    for message in read.messages.iter().filter(|message| !message.over && !message.text.starts_with("Error from server")) {
        let Some(found) = CLASS.as_ref().and_then(|form| form.captures(&message.text)) else { continue };
        told = true;
        let claim = Claim::of(evidence, message);
        let cause = format!("the storage class `{}` of the claim {} does not exist", &found[1], claim.shown());
        let finding = findings.proven(claim.place("spec.storageClassName"), cause);
        finding.message(message);
        finish(evidence, finding, &found[1]);
    }
    let Some(classes) = claims::classes(evidence).filter(|_| !told) else { return };
    for claim in read.existing.iter().filter(|one| claims::is_pending(one) && !claims::no_class(&one.detail)) {
        if classes.iter().any(|class| class.name == claim.detail) {
            continue;
        }
        let namespace = claim.namespace.as_deref().unwrap_or_default();
        let name = subjects::named(namespace, &claim.name, "it");
        let cause = format!("the storage class `{}` of the claim {name} does not exist", claim.detail);
        let place = subjects::object("PersistentVolumeClaim", namespace, &claim.name, "spec.storageClassName");
        let finding = findings.likely(place, cause);
        finding.quote(claim.item, claim.line);
        finish(evidence, finding, &claim.detail);
    }
}

fn finish(evidence: &Evidence, finding: &mut Finding, class: &str) {
    for message in claims::waiting_pods(evidence.read()) {
        finding.message(message);
    }
    let classes = claims::classes(evidence).unwrap_or_default();
    let names = || classes.iter().map(|class| class.name.as_str());
    let near = nearest(class, names()).or_else(|| names().find(|name| class.starts_with(name) || name.starts_with(class)));
    let near = near.or_else(|| classes.iter().find(|class| class.is_default).map(|class| class.name.as_str()));
    let title = match near {
        Some(near) => format!("use the class `{near}`, or create `{class}`"),
        None => format!("create the class `{class}`, or name one that exists"),
    };
    finding.fix(
        Fix::manual(title)
            .step("kubectl get storageclass")
            .step("a claim's class can't be changed: delete the claim and create it anew while it has no volume"),
    );
}
