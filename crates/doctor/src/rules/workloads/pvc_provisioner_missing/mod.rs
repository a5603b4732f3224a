//! A claim's class exists, but nobody makes its volumes.

use std::sync::LazyLock;

use regex::Regex;

use super::claims::{self, Claim};
use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Severity};
use crate::read::Message;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0616",
    key: "pvc-provisioner-missing",
    title: "provisioner of a storage class does not work",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static WAITING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)waiting for a volume to be created,? either by (?:the )?external provisioner ["']([^"']+)["']"#).ok()
});
static DRIVER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"driver name (\S+) not found in the list of registered CSI drivers").ok()
});

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut told = false;
    for message in read.messages.iter().filter(|message| !message.over) {
        let capture = |form: &LazyLock<Option<Regex>>| Some(form.as_ref()?.captures(&message.text)?[1].to_owned());
        if let Some(provisioner) = capture(&WAITING) {
            let claim = Claim::of(evidence, message);
            if is_bound(evidence, &claim, message) {
                continue;
            }
            told = true;
            let broken = claims::broken_provisioner(read, &provisioner);
            let cause = match broken {
                Some(row) => format!(
                    "the provisioner `{provisioner}` makes no volume for the claim {}: its pod `{}` is in {}",
                    claim.shown(),
                    row.name,
                    row.status
                ),
                None => format!("the provisioner `{provisioner}` makes no volume for the claim {}", claim.shown()),
            };
            let place = match broken {
                Some(row) => subjects::object("Pod", row.namespace.as_deref().unwrap_or_default(), &row.name, ""),
                None => claim.place("spec.storageClassName"),
            };
            let finding = if broken.is_some() { findings.proven(place, cause) } else { findings.likely(place, cause) };
            // Every volume that is made takes a moment.
            if broken.is_none() && message.count < 3 && claims::waiting_pods(read).next().is_none() {
                finding.severity(Severity::Note);
            }
            finding.message(message);
            if let Some(row) = broken {
                finding.quote(row.item, row.line);
            }
            finish(evidence, finding, &provisioner);
        } else if let Some(driver) = capture(&DRIVER).filter(|_| message.is_failure()) {
            told = true;
            let cause = format!("the CSI driver `{driver}` is not registered on the node of {}", subjects::pods_of(&[message]));
            let finding = findings.likely(subjects::pod_of(message), cause);
            finding.message(message);
            finish(evidence, finding, &driver);
        } else if message.is_failure() && message.text.contains("failed to provision volume with StorageClass") {
            told = true;
            let claim = Claim::of(evidence, message);
            let finding = findings.likely(claim.place(""), format!("the provisioner fails to make a volume for the claim {}", claim.shown()));
            finding.message(message);
            finish(evidence, finding, "");
        }
    }
    if !told {
        by_lists(evidence, findings);
    }
}

/// A claim that waits for a class that exists.
fn by_lists(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    if read.messages.iter().any(|message| claims::decides(&message.text)) {
        return;
    }
    let Some(classes) = claims::classes(evidence) else { return };
    for claim in read.existing.iter().filter(|one| claims::is_pending(one)) {
        let Some(class) = classes.iter().find(|class| class.name == claim.detail) else { continue };
        let broken = claims::broken_provisioner(read, &class.detail);
        if broken.is_none() && claims::waiting_pods(read).next().is_none() {
            continue;
        }
        let namespace = claim.namespace.as_deref().unwrap_or_default();
        let name = subjects::named(namespace, &claim.name, "it");
        let cause = format!("the provisioner `{}` of the class `{}` makes no volume for the claim {name}", class.detail, class.name);
        let finding = findings.likely(subjects::object("PersistentVolumeClaim", namespace, &claim.name, ""), cause);
        finding.quote(claim.item, claim.line);
        if let Some(row) = broken {
            finding.quote(row.item, row.line);
        }
        finish(evidence, finding, &class.detail);
    }
}

fn is_bound(evidence: &Evidence, claim: &Claim, message: &Message) -> bool {
    let read = evidence.read();
    let bound = |one: &&crate::read::existing::Existing| {
        one.kind == "PersistentVolumeClaim" && one.name == claim.name && one.status == "Bound"
    };
    let made = |other: &&Message| other.item == message.item && other.reason == "ProvisioningSucceeded";
    read.existing.iter().any(|one| bound(&one)) || read.messages.iter().any(|other| made(&other))
}

fn finish(evidence: &Evidence, finding: &mut Finding, provisioner: &str) {
    for message in claims::waiting_pods(evidence.read()) {
        finding.message(message);
    }
    finding.fix(
        Fix::manual("repair the provisioner, or install it")
            .step("kubectl get pods -A | grep -iE 'csi|provisioner'")
            .step(format!("kubectl get csidriver {provisioner}; kubectl get csinode"))
            .step("read the logs of its controller: containers csi-provisioner and the driver itself"),
    );
}
