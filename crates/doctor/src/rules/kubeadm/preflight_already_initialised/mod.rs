//! `kubeadm init` or `join` on a node that was set up before: its files are there, its ports are taken.

use super::output;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0301",
    key: "preflight-already-initialised",
    title: "kubeadm runs on a node that was set up before",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const PORTS: [&str; 6] = ["Port-6443", "Port-10250", "Port-10257", "Port-10259", "Port-2379", "Port-2380"];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let left = |name: &str| name.starts_with("FileAvailable") || name.starts_with("DirAvailable");
    let checks = output::failed(evidence).filter(|(name, _, _)| left(name) || PORTS.contains(name));
    let mut checks: Vec<_> = checks.collect();
    checks.sort_by_key(|(name, _, message)| (message.item, !left(name)));
    for of_one in checks.chunk_by(|one, other| one.2.item == other.2.item) {
        let Some((name, words, first)) = of_one.first() else { continue };
        let finding = if left(name) {
            let path = words.split_whitespace().next().unwrap_or_default();
            let cause = format!("this node was set up before: {words}");
            findings.proven(output::machine(first, path), cause)
        } else {
            let cause = format!("something of a cluster already runs on this node: {words}");
            findings.likely(output::machine(first, name.replace('-', " ").to_lowercase()), cause)
        };
        for (_, _, message) in of_one {
            finding.message(message);
        }
        finding.fix(steps());
    }
    for message in output::said(evidence, &["a Node with name", "already exists in the cluster"]) {
        let name = message.quoted_after("a Node with name").unwrap_or_default();
        let cause = format!("the cluster already has a node `{name}`: this one joined before, or two machines have one name");
        findings.proven(output::machine(message, format!("host name {name}")), cause).message(message).fix(
            Fix::manual("remove the old node, or give this machine another name")
                .step(format!("kubectl delete node {name}"))
                .step("kubeadm reset"),
        );
    }
}

fn steps() -> Fix {
    Fix::manual("reset the node if the old cluster on it is not wanted any more")
        .step("kubectl get nodes    # is it part of a cluster that is in use?")
        .step("kubeadm reset")
}
