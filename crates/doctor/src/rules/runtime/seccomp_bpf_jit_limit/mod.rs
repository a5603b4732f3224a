//! The kernel has no memory left for the compiled filters of seccomp.

use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::same_node;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0229",
    key: "seccomp-bpf-jit-limit",
    title: "no room for another seccomp filter",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut seen: Vec<String> = Vec::new();
    let all = || read.failures().filter(|message| message.text.contains("errno 524"));
    for message in all() {
        let pod = read.pod(&message.pod.0, &message.pod.1).map(|pod| pod.node.clone()).unwrap_or_default();
        let node = if message.node.is_empty() { pod } else { message.node.clone() };
        if seen.contains(&node) {
            continue;
        }
        let cause = "the kernel cannot load another seccomp filter (errno 524): the memory for compiled BPF programs is used up";
        let finding = findings.proven(cri::machine(&node, "net.core.bpf_jit_limit"), cause);
        finding.weigh(1);
        for other in all().filter(|other| same_node(&other.node, &node)) {
            finding.message(other);
        }
        if let Some(limit) = read.facts.setting(&node, "net.core.bpf_jit_limit").next() {
            finding.quote(limit.item, limit.line);
        }
        let fix = Fix::manual("raise the limit, and start what leaks filters anew")
            .step("sysctl net.core.bpf_jit_limit")
            .step("sysctl -w net.core.bpf_jit_limit=528482304; echo net.core.bpf_jit_limit=528482304 > /etc/sysctl.d/90-bpf-jit.conf")
            .step("restart the node when the limit alone does not help: some kernels do not give the memory back");
        finding.fix(fix);
        seen.push(node);
    }
}
