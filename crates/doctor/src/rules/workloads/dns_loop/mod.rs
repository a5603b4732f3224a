//! CoreDNS forwards to an address that leads back to itself, and ends itself for that.

use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0664",
    key: "dns-loop",
    title: "cluster DNS asks itself",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let loops: Vec<_> = evidence.read().messages.iter().filter(|message| is_loop(&message.text)).collect();
    let Some(first) = loops.first() else { return };
    let from = first.text.split_once("Loop (").and_then(|(_, rest)| rest.split([' ', ')']).next()).unwrap_or_default();
    let local = from.starts_with("127.") || from.starts_with("[::1]");
    let cause = if local {
        "CoreDNS forwards to the node's own resolver, whose address inside the pod is CoreDNS itself"
    } else {
        "what CoreDNS forwards to asks CoreDNS again"
    };
    let finding = findings.proven(subjects::object("ConfigMap", "kube-system", "coredns", "data.Corefile"), cause);
    for message in loops {
        finding.message(message);
    }
    finding.fix(
        Fix::manual("give CoreDNS the real name servers")
            .step("on the nodes: grep nameserver /etc/resolv.conf (127.0.0.53 is systemd-resolved, which has the real ones in /run/systemd/resolve/resolv.conf)")
            .step("kubelet configuration: resolvConf: /run/systemd/resolve/resolv.conf; then restart the kubelet and CoreDNS")
            .step("or kubectl -n kube-system edit configmap coredns: forward . 192.0.2.53 in place of /etc/resolv.conf"),
    );
}

fn is_loop(text: &str) -> bool {
    text.contains("plugin/loop: Loop") && text.contains("detected for zone")
}
