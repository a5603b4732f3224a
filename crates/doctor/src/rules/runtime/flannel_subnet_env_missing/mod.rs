//! flannel's daemon has not written its file on the node.

use super::{cni, cri};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::same_node;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0234",
    key: "flannel-subnet-env-missing",
    title: "flannel's file is not written",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

/// What flannel's own log says, and what that means.
const REASONS: [(&str, &str); 6] = [
    ("pod cidr not assigned", "the node has no pod CIDR"),
    ("Failed to check br_netfilter", "br_netfilter is not loaded"),
    ("br_netfilter", "br_netfilter is not loaded"),
    ("failed to read net conf", "its net-conf.json is missing or wrong"),
    ("Could not find valid interface", "it finds no network interface to use"),
    ("Error from server (Forbidden)", "it may not read the node"),
];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut seen: Vec<&str> = Vec::new();
    let all = || read.failures().filter(|message| message.text.contains("/run/flannel/subnet.env"));
    for message in all() {
        let node = message.node.as_str();
        if seen.contains(&node) {
            continue;
        }
        seen.push(node);
        let place = cri::machine(node, "flannel");
        let log = read.messages.iter().find_map(|other| {
            let (_, what) = REASONS.iter().find(|(words, _)| other.text.contains(words))?;
            same_node(&other.node, node).then_some((other, *what))
        });
        let carriers = cni::carriers(evidence, node);
        let pod = carriers.iter().find(|carrier| carrier.name.contains("flannel"));
        let finding = if let Some((line, what)) = log {
            let finding = findings.proven(place, format!("flannel has not written /run/flannel/subnet.env: {what}"));
            finding.message(line);
            finding
        } else if let Some(pod) = pod.filter(|pod| !pod.runs) {
            let finding = findings.likely(place, format!("flannel has not written /run/flannel/subnet.env: {} is {}", pod.name, pod.status));
            finding.quote(pod.item, pod.line);
            finding
        } else if let Some(item) = cni::none_deployed(evidence) {
            let finding = findings.likely(place, "flannel's configuration is on the node, and no flannel runs in the cluster");
            finding.quote(item, 1);
            finding
        } else {
            let finding = findings.open(place, "flannel has not written /run/flannel/subnet.env; why its daemon does not run is in its own log");
            finding.needs(&[
                "state and log of the kube-flannel pod on the node",
                "node .spec.podCIDR against the Network in net-conf.json",
                "lsmod | grep br_netfilter",
            ]);
            finding
        };
        finding.weigh(1);
        for other in all().filter(|other| same_node(&other.node, node)) {
            finding.message(other);
        }
        let fix = Fix::manual("get flannel's pod on that node to run")
            .step("kubectl -n kube-flannel get pods -o wide; kubectl -n kube-flannel logs POD")
            .step("kubectl get nodes -o custom-columns=NAME:.metadata.name,CIDR:.spec.podCIDR")
            .step("lsmod | grep br_netfilter || modprobe br_netfilter");
        finding.fix(fix);
    }
}
