//! The API server's own certificate has run out.

use super::client;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::Message;

pub const RULE: Rule = Rule {
    code: "SM0455",
    key: "apiserver-cert-expired",
    title: "API server's certificate has run out",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let all = client::said(evidence, &["certificate has expired or is not yet valid", "is after"]);
    // In the server's log the same words are about a client's certificate.
    let messages: Vec<&Message> = all.filter(|message| !message.text.contains("Unable to authenticate")).collect();
    let Some(first) = messages.first() else { return };
    let end = first.text.split_once(" is after ").and_then(|(_, rest)| rest.split([' ', '"', ')']).next()).unwrap_or_default();
    let place = Place::Service("certificate of the API server".to_owned());
    let finding = findings.likely(place, format!("the API server's certificate ran out at {end}"));
    for message in &messages {
        finding.message(message);
    }
    finding.note("if that date is still to come, this machine's clock is wrong").fix(
        Fix::manual("renew the certificates and restart the control plane")
            .step("date -u; kubeadm certs check-expiration")
            .step("kubeadm certs renew all")
            .step("restart kube-apiserver, kube-controller-manager, kube-scheduler, etcd; copy /etc/kubernetes/admin.conf anew"),
    );
}
