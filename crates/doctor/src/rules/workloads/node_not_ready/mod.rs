//! A node does not answer, or says that it is not ready.

use std::collections::BTreeSet;

use super::{scheduling, subjects};
use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Finding, Fix, Severity};
use crate::read::{Message, Read};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0612",
    key: "node-not-ready",
    title: "node is not ready",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut gone: BTreeSet<&str> = read.nodes.iter().filter(|node| !node.ready).map(|node| node.name.as_str()).collect();
    gone.extend(told_by_events(read));
    let taints: Vec<&Message> = scheduling::failures(read)
        .filter(|(_, unfit)| {
            let gone = unfit.with("node.kubernetes.io/unreachable") + unfit.with("node.kubernetes.io/not-ready");
            gone > 0 && gone + unfit.control_planes() + unfit.with("node.kubernetes.io/unschedulable") >= unfit.total
        })
        .map(|(message, _)| message)
        .collect();
    if gone.is_empty() && taints.is_empty() {
        return;
    }
    let names: Vec<String> = gone.iter().map(|name| format!("`{name}`")).collect();
    let cause = match names.len() {
        0 => "no node that the pod may use is ready".to_owned(),
        1 => format!("the node {} is not ready", names[0]),
        count if count > 4 => format!("{count} nodes are not ready, {} among them", names[0]),
        _ => format!("the nodes {} are not ready", names.join(", ")),
    };
    let name = gone.first().copied().unwrap_or_default();
    let finding = findings.likely(subjects::object("Node", "", name, "status.conditions[Ready]"), cause);
    finding.weigh(-1);
    if inner_evidence(evidence) {
        // What the node itself says is nearer to the cause.
        finding.severity(Severity::Warning);
    }
    for message in taints {
        finding.message(message);
    }
    explain(read, &gone, finding);
    finding.fix(
        Fix::manual("look at the node: power, network, kubelet, container runtime")
            .step(format!("kubectl describe node {name}"))
            .step("on the node: systemctl status kubelet containerd; journalctl -u kubelet -n 100"),
    );
}

/// Nodes whose last event about it says that they are not ready.
fn told_by_events(read: &Read) -> BTreeSet<&str> {
    let mut gone = BTreeSet::new();
    for message in read.messages.iter().filter(|message| message.reason == "NodeNotReady" && !message.node.is_empty()) {
        let back = |other: &&Message| other.reason == "NodeReady" && other.node == message.node;
        let since = read.messages.iter().filter(back).filter_map(|other| other.age).min();
        let is_back = since.is_some_and(|since| message.age.is_none_or(|age| since < age)) || read.ready(&message.node) == Some(true);
        if !is_back {
            gone.insert(message.node.as_str());
        }
    }
    gone
}

/// Whether there are logs or facts of nodes.
fn inner_evidence(evidence: &Evidence) -> bool {
    let inner = [ItemKind::KubeletLog, ItemKind::ContainerdLog, ItemKind::ContainerdConfig, ItemKind::CrictlOutput, ItemKind::NodeFacts];
    evidence.items().iter().any(|item| inner.contains(&item.kind))
        || evidence.read().failures().any(|message| message.reason == "KubeletNotReady" || message.text.contains("NetworkPluginNotReady"))
}

fn explain(read: &Read, gone: &BTreeSet<&str>, finding: &mut Finding) {
    for node in read.nodes.iter().filter(|node| !node.ready && gone.contains(node.name.as_str())).take(5) {
        finding.quote(node.item, node.line);
    }
    let about = |message: &&Message| {
        matches!(message.reason.as_str(), "NodeNotReady" | "NodeStatusUnknown") && gone.contains(message.node.as_str())
    };
    for message in read.failures().filter(about) {
        finding.message(message);
    }
}
