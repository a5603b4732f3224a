//! A program that the kubelet or kubeadm calls is not installed.

use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};
use crate::rules::kubeadm::output;

pub const RULE: Rule = Rule {
    code: "SM0901",
    key: "preflight-program-missing",
    title: "program that a node needs is not installed",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

/// Programs and the packages of Debian that have them.
const PACKAGES: [(&str, &str); 9] = [
    ("conntrack", "conntrack"),
    ("crictl", "cri-tools"),
    ("ebtables", "ebtables"),
    ("ethtool", "ethtool"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("nsenter", "util-linux"),
    ("socat", "socat"),
    ("tc", "iproute2"),
];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for (name, words, message) in output::failed(evidence) {
        let Some(program) = name.strip_prefix("FileExisting-") else { continue };
        let finding = findings.proven(output::machine(message, program), words.to_owned());
        finding.message(message);
        let package = PACKAGES.iter().find(|(known, _)| *known == program).map_or(program, |(_, package)| package);
        finding.fix(Fix::manual(format!("install {program}")).step(format!("apt-get install {package}")));
    }
}
