//! Swap is on, and the kubelet is set to refuse that.

use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::{Message, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0226",
    key: "swap-enabled",
    title: "swap is on",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut seen: Vec<&str> = Vec::new();
    let refused = |message: &&Message| {
        let text = message.text.to_lowercase();
        text.contains("running with swap on is not supported") || text.contains("running with swap on is no supported")
    };
    for message in read.failures().filter(refused) {
        let node = message.node.as_str();
        if seen.contains(&node) {
            continue;
        }
        seen.push(node);
        let swaps: Vec<_> = read.facts.swaps.iter().filter(|swap| same_node(&swap.node, node)).collect();
        let mut paths: Vec<&str> = swaps.iter().map(|swap| swap.value.path.as_str()).collect();
        paths.dedup();
        let names = paths.join(", ");
        let (what, cause) = if names.is_empty() {
            ("swap".to_owned(), "swap is on, and the kubelet is set to refuse that".to_owned())
        } else {
            (format!("swap {names}"), format!("swap is on ({names}), and the kubelet is set to refuse that"))
        };
        let finding = findings.proven(cri::machine(node, what), cause);
        for swap in swaps {
            finding.quote(swap.item, swap.line);
        }
        for other in read.failures().filter(refused).filter(|other| same_node(&other.node, node)) {
            finding.message(other);
        }
        let fix = Fix::manual("turn swap off, now and at the next start")
            .step("swapoff -a")
            .step("comment the swap line out: sed -i.bak '/\\sswap\\s/ s/^#*/#/' /etc/fstab")
            .step("systemctl list-units --type swap   # zram and swap units come back by themselves: mask them")
            .step("systemctl restart kubelet");
        finding.fix(fix);
    }
}
