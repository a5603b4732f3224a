//! The address that the client uses is not in the API server's certificate.

use super::client;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::{Message, Speaker};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0413",
    key: "apiserver-cert-san-missing",
    title: "address is not in the API server's certificate",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let kubeadm = evidence.read().messages.iter().filter(|message| message.speaker == Speaker::Kubeadm && message.text.contains("6443"));
    let messages: Vec<&Message> =
        client::said(evidence, &["x509: "]).chain(kubeadm).filter(|message| address(&message.text).is_some()).collect();
    let Some((first, address)) = messages.first().and_then(|first| Some((first, address(&first.text)?))) else { return };
    let names = first.text.split_once("certificate is valid for ").and_then(|(_, rest)| rest.split(", not ").next());
    let server = evidence.read().kubeconfigs.iter().find_map(|config| {
        let servers = config.clusters.iter().filter_map(|cluster| cluster.server.as_ref());
        Some((config.item, servers.clone().find(|server| server.value.contains(address))?))
    });
    let place = Place::Service(format!("certificate of the API server (subject alternative names; {address} is missing)"));
    let cause = format!("the API server's certificate does not name {address}, which the client uses");
    let finding = findings.proven(place, cause);
    for message in &messages {
        finding.message(message);
    }
    if let Some((item, server)) = server {
        finding.quote_word(evidence, item, &server.value);
    }
    if let Some(names) = names {
        finding.note(format!("it names {names}"));
    }
    finding.fix(
        Fix::manual("put the address into the certificate, or use one that is in it")
            .step(format!("kubeadm-config: apiServer: {{certSANs: [{address}]}}"))
            .step("mv /etc/kubernetes/pki/apiserver.{crt,key} /root/ && kubeadm init phase certs apiserver --config kubeadm.yaml")
            .step("or: kubectl config set-cluster NAME --server=https://NAME-IN-THE-CERTIFICATE:6443"),
    );
}

/// The address that the certificate does not have.
fn address(text: &str) -> Option<&str> {
    let rest = text
        .split_once("certificate is valid for ")
        .and_then(|(_, rest)| rest.split_once("not ").map(|(_, rest)| rest))
        .or_else(|| text.split_once("cannot validate certificate for ").map(|(_, rest)| rest))
        .or_else(|| text.split_once("certificate is not valid for any names, but wanted to match ").map(|(_, rest)| rest))?;
    rest.split([' ', '"', ',', ')']).next().filter(|address| !address.is_empty())
}
