//! The kubelet or kubeadm finds no CRI on a socket that answers, and nothing tells why.

use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Severity};
use crate::read::{Message, PluginStatus, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0203",
    key: "cri-plugin-not-loaded",
    title: "nobody serves the CRI",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

/// What gives the same words.
const CAUSES: [&str; 13] = [
    "cri-plugin-disabled",
    "xfs-ftype-0",
    "cri-mirrors-with-config-path",
    "cri-systemd-cgroup-wrong-place",
    "cri-default-runtime-undefined",
    "cri-snapshotter-unknown",
    "overlay-module-missing",
    "overlay-unsupported-backing-fs",
    "containerd-config-version-mismatch",
    "containerd-too-old",
    "crictl-too-old",
    "crictl-runtime-version-skew",
    "cri-dockerd-too-old",
];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for node in cri::nodes(evidence) {
        let fits = |message: &&Message| same_node(&message.node, &node);
        let asked: Vec<&Message> = cri::unserved(evidence).map(|one| one.message).filter(fits).collect();
        let down = evidence.read().failing(&["container runtime is down"]).filter(fits);
        let down: Vec<&Message> = down.filter(|message| !message.text.contains("PLEG")).collect();
        let failed = evidence.read().plugins.cri(&node).find(|plugin| plugin.status == PluginStatus::Error);
        let place = || cri::machine(&node, "container runtime");
        let finding = if let Some(first) = asked.first() {
            let socket = cri::socket(&first.text).unwrap_or("the runtime's socket");
            findings.open(place(), format!("nobody serves the CRI on {socket}; the messages do not tell why"))
        } else if !down.is_empty() {
            let finding = findings.open(place(), "the kubelet finds its container runtime down; nothing tells why");
            finding.or(&["runtime-socket-absent", "pleg-runtime-hung"]).needs(&["systemctl status containerd"]);
            finding
        } else if let Some(failed) = failed {
            let finding = findings.open(place(), "containerd's CRI plugin failed to load; the list does not tell why");
            finding.quote(failed.item, failed.line);
            cri::explain(finding, evidence, &node);
            finding
        } else {
            continue;
        };
        finding.or(&CAUSES).weigh(-1);
        for message in asked.iter().chain(&down) {
            finding.message(message);
        }
        if let Some(error) = evidence.read().plugins.cri_errors(&node).next() {
            finding.quote(error.item, error.line).note(format!("containerd says of the plugin: {}", error.error));
        }
        ask(evidence, finding, &node);
        let fix = Fix::manual("find out which cause it is before anything is changed")
            .step("journalctl -u containerd -b | grep -E 'failed to load plugin|level=(error|fatal)'")
            .step("ctr plugins ls -d id==cri")
            .step("grep -nE 'disabled_plugins|version|systemd_cgroup|config_path|snapshotter' /etc/containerd/config.toml")
            .step("containerd --version; crictl --version; kubelet --version");
        finding.fix(fix);
    }
}

fn ask(evidence: &Evidence, finding: &mut Finding, node: &str) {
    let has_config = evidence.read().configs.iter().any(|config| same_node(&config.node, node));
    if !has_config {
        finding.needs(&["/etc/containerd/config.toml (disabled_plugins, systemd_cgroup, config_path, version)"]);
    }
    finding.needs(&[
        "containerd journal (\"failed to load plugin\", \"modprobe\")",
        "ctr plugins ls, and ctr plugins ls -d id==cri",
        "crictl --version and containerd --version (or crio --version)",
    ]);
}
