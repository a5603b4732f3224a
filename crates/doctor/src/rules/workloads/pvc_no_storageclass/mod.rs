//! A PersistentVolumeClaim names no class, and the cluster has no default one; or a pod waits for a claim and nothing tells why.

use super::claims::{self, Claim};
use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Severity};
use crate::read::Message;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0614",
    key: "pvc-no-storageclass",
    title: "claim names no storage class and there is no default one",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let waiting: Vec<&Message> = claims::waiting_pods(read).collect();
    let mut told = false;
    for message in read.messages.iter().filter(|message| !message.over && says_no_class(&message.text)) {
        told = true;
        let claim = Claim::of(evidence, message);
        let cause = format!("the claim {} names no storage class, there is no default one, and no volume fits", claim.shown());
        let finding = findings.proven(claim.place("spec.storageClassName"), cause);
        finding.message(message);
        finish(finding, &waiting);
    }
    let decided = told || read.messages.iter().any(|message| !message.over && claims::decides(&message.text));
    if decided {
        return;
    }
    // A claim that waits and names no class, beside a list of classes of which none is the default.
    let classes = claims::classes(evidence);
    let bare = read.existing.iter().find(|one| claims::is_pending(one) && claims::no_class(&one.detail));
    let no_default = classes.as_ref().is_some_and(|classes| classes.iter().all(|class| !class.is_default));
    if let Some(claim) = bare.filter(|_| no_default) {
        let namespace = claim.namespace.as_deref().unwrap_or_default();
        let name = subjects::named(namespace, &claim.name, "it");
        let cause = format!("the claim {name} names no storage class, and none is the default");
        let place = subjects::object("PersistentVolumeClaim", namespace, &claim.name, "spec.storageClassName");
        let finding = findings.proven(place, cause);
        finding.quote(claim.item, claim.line);
        finish(finding, &waiting);
        return;
    }
    let Some(first) = waiting.first() else { return };
    let place = subjects::pod_of(first);
    if classes.as_ref().is_some_and(Vec::is_empty) {
        let cause = format!("{} waits for a claim, and the cluster has no storage class", subjects::pods_of(&waiting));
        finish(findings.likely(place, cause), &waiting);
        return;
    }
    if read.existing.iter().any(|one| claims::is_pending(one) && !claims::no_class(&one.detail)) && classes.is_some() {
        return;
    }
    let finding = findings.open(place, format!("a claim of {} is not bound", subjects::pods_of(&waiting)));
    for message in &waiting {
        finding.message(message);
    }
    finding.or(&["pvc-storageclass-not-found", "pvc-provisioner-missing"]).needs(&[
        "kubectl describe pvc",
        "kubectl get storageclass",
        "the provisioner's pods",
    ]);
    finding.fix(
        Fix::manual("look at the claim, the classes and the provisioner")
            .step("kubectl describe pvc")
            .step("kubectl get storageclass")
            .step("kubectl get pods -A | grep -iE 'csi|provisioner'"),
    );
}

fn says_no_class(text: &str) -> bool {
    text.contains("no persistent volumes available for this claim and no storage class is set")
        || text.contains("no volume plugin matched")
}

fn finish(finding: &mut Finding, waiting: &[&Message]) {
    for message in waiting {
        finding.message(message);
    }
    finding.fix(
        Fix::manual("make a class the default, name a class in the claim, or make a volume that fits")
            .step("kubectl patch storageclass CLASS -p '{\"metadata\":{\"annotations\":{\"storageclass.kubernetes.io/is-default-class\":\"true\"}}}'")
            .step("a claim that waits gets the default class by itself (since Kubernetes 1.26)"),
    );
}
