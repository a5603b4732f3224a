//! The certificate with which the kubelet shows itself to the API server is over.

use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Severity};
use crate::read::{Message, Speaker, same_node, times};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0224",
    key: "kubelet-client-cert-expired",
    title: "kubelet's client certificate expired",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const FILE: &str = "/etc/kubernetes/kubelet.conf client certificate";

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut seen: Vec<&str> = Vec::new();
    for message in evidence.read().messages.iter().filter(|message| !message.over) {
        let node = message.node.as_str();
        let Some(weight) = weight(message).filter(|_| !seen.contains(&node)) else { continue };
        seen.push(node);
        let skewed = clock_is_wrong(evidence, node);
        let dated = expiry(evidence, node);
        let place = cri::machine(node, FILE);
        let finding = match (weight, dated) {
            _ if skewed => continue,
            (Weight::Told, _) => {
                let when = times::first(&message.text).map_or_else(String::new, |when| format!(" on {}", when.local.date()));
                findings.proven(place, format!("the kubelet's client certificate expired{when}"))
            }
            (_, Some((item, line))) => {
                let finding = findings.proven(place, "the kubelet's client certificate is over, so the API server does not know it");
                finding.quote(item, line);
                finding
            }
            (Weight::Refused, None) => {
                let cause = "the API server does not accept the kubelet's identity, or the kubelet finds a certificate out of its time";
                let finding = findings.open(place, cause);
                finding.or(&["node-clock-skew"]).needs(&[
                    "openssl x509 -noout -dates -in /var/lib/kubelet/pki/kubelet-client-current.pem (notAfter)",
                    "date on the node, timedatectl or chronyc tracking",
                    "kubeadm certs check-expiration on the control plane",
                ]);
                finding
            }
        };
        let all = evidence.read().messages.iter().filter(|other| !other.over && same_node(&other.node, node));
        for other in all.filter(|other| weight_of(other)) {
            finding.message(other);
        }
        mend(finding);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// The kubelet itself says that it is over.
    Told,
    /// The API server refused it, or a certificate is out of its time.
    Refused,
}

fn weight(message: &Message) -> Option<Weight> {
    let text = message.text.to_lowercase();
    let client = text.contains("client certificate") && (text.contains("expired") || text.contains("is over"));
    if client && (message.speaker == Speaker::Kubelet || text.contains("kubelet")) {
        return Some(Weight::Told);
    }
    if message.speaker != Speaker::Kubelet || !message.is_failure() {
        return None;
    }
    let words = ["certificate has expired", "provide credentials", "unauthorized"];
    let pull = ["pull image", "pullimage", "registry", "failed to resolve reference", "/manifests/"];
    let refused = words.iter().any(|words| text.contains(words)) && !pull.iter().any(|words| text.contains(words));
    refused.then_some(Weight::Refused)
}

/// Whether a message belongs to this trouble.
fn weight_of(message: &Message) -> bool {
    weight(message).is_some() || message.text.contains("unable to load bootstrap kubeconfig")
}

/// A certificate of the kubelet whose end lies before the node's date: item and line.
fn expiry(evidence: &Evidence, node: &str) -> Option<(usize, u32)> {
    let read = evidence.read();
    let now = read.facts.dates.iter().find(|date| same_node(&date.node, node)).map(|date| date.value);
    for (number, item) in evidence.asked("kubelet", Some(node)) {
        for (index, line) in item.text.lines().enumerate() {
            let line_number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let over = line.contains("EXPIRED") || line.contains("<invalid>");
            let ends = line.contains("notAfter") || line.contains("Not After");
            let end = times::first(line).filter(|_| ends);
            if over || end.zip(now).is_some_and(|(end, now)| now.after(&end) > 0) {
                return Some((number, line_number));
            }
        }
    }
    None
}

/// Whether the node's clock is known to be wrong.
fn clock_is_wrong(evidence: &Evidence, node: &str) -> bool {
    let facts = &evidence.read().facts;
    let unsynced = facts.setting(node, "System clock synchronized").any(|setting| setting.value.value == "no");
    let leap = facts.setting(node, "Leap status").any(|setting| setting.value.value.contains("Not synchronised"));
    let future = evidence.read().failing(&["is before"]).any(|message| same_node(&message.node, node));
    unsynced || leap || future
}

fn mend(finding: &mut Finding) {
    let fix = Fix::manual("give the kubelet a new certificate")
        .step("date; openssl x509 -noout -dates -in /var/lib/kubelet/pki/kubelet-client-current.pem")
        .step("on a control-plane node: kubeadm kubeconfig user --org system:nodes --client-name system:node:NODE > kubelet.conf")
        .step("copy it to /etc/kubernetes/kubelet.conf of the node, remove /var/lib/kubelet/pki/kubelet-client*, systemctl restart kubelet")
        .step("or join the node anew with a fresh bootstrap token");
    finding.fix(fix);
}
