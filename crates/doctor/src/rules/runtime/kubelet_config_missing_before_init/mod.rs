//! The kubelet's config.yaml is not there: kubeadm has not written it yet, or it was lost.

use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::same_node;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0225",
    key: "kubelet-config-missing-before-init",
    title: "kubelet without its config.yaml",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const FILE: &str = "/var/lib/kubelet/config.yaml";

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut seen: Vec<&str> = Vec::new();
    for message in read.failing(&["config.yaml", "no such file"]).filter(|message| message.text.contains("kubelet")) {
        let node = message.node.as_str();
        if seen.contains(&node) {
            continue;
        }
        seen.push(node);
        let place = cri::machine(node, FILE);
        let finding = match joined(evidence, node) {
            Some(true) => {
                let finding = findings.proven(place, format!("this node was joined before, and {FILE} is lost"));
                finding.fix(Fix::manual("write the file anew").step("kubeadm upgrade node phase kubelet-config   # or copy it from a node of the same role").step("systemctl restart kubelet"));
                finding
            }
            Some(false) => {
                let cause = format!("the node was never joined: kubeadm init or join writes {FILE}, until then the kubelet restarts and waits");
                let finding = findings.proven(place, cause);
                finding.severity(Severity::Note);
                finding.fix(Fix::manual("join the node, or make it the first one").step("kubeadm join … (or kubeadm init)"));
                finding
            }
            None => {
                let cause = format!("{FILE} is not there: kubeadm init or join has not written it yet, or it was lost");
                let finding = findings.open(place, cause);
                finding.needs(&["ls -l /etc/kubernetes/kubelet.conf /var/lib/kubelet (was it ever joined?)"]);
                finding.fix(Fix::manual("join a new node; restore the file on one that was joined").step("ls -l /etc/kubernetes/kubelet.conf /var/lib/kubelet").step("kubeadm join … (or kubeadm init)"));
                finding
            }
        };
        let all = read.failing(&["config.yaml", "no such file"]).filter(|other| same_node(&other.node, node));
        for other in all.filter(|other| other.text.contains("kubelet")) {
            finding.message(other);
        }
    }
}

/// Whether the node was ever joined, if that can be seen.
fn joined(evidence: &Evidence, node: &str) -> Option<bool> {
    let facts = &evidence.read().facts;
    let signs = ["kubelet.conf", "pki", "kubelet-client-current.pem", "cpu_manager_state", "pods", "kubeadm-flags.env"];
    let has = |directory: &str, names: &[&str]| {
        let listing = facts.listings.iter().filter(|one| one.value.directory == directory && same_node(&one.node, node));
        listing.flat_map(|one| &one.value.entries).any(|entry| names.contains(&entry.name.as_str()))
    };
    if has("/etc/kubernetes", &["kubelet.conf"]) || has("/var/lib/kubelet", &signs) || has("/var/lib/kubelet/pki", &signs) {
        return Some(true);
    }
    let known = evidence.read().nodes.iter().any(|known| !node.is_empty() && same_node(&known.name, node));
    if known {
        return Some(true);
    }
    let listed = facts.listing(node, "/etc/kubernetes").is_some();
    let gone = facts.is_absent(node, "/etc/kubernetes/kubelet.conf") || facts.is_absent(node, "/etc/kubernetes");
    (gone || listed).then_some(false)
}
