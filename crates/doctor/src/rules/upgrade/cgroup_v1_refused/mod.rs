//! A node with cgroup v1, and a target whose kubelet refuses it.

use super::target::{machine, nodes, target};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0805",
    key: "upgrade-cgroup-v1-refused",
    title: "cgroup v1, which the target refuses",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

/// First kubelet that does not start on cgroup v1 unless told to.
const REFUSES: u32 = 35;

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let Some(target) = target(evidence).filter(|target| *target >= REFUSES) else { return };
    for node in nodes(evidence) {
        let mut asked = evidence.asked("/sys/fs/cgroup", Some(&node)).filter(|(_, item)| item.origin.node() == Some(&node));
        let Some((number, _)) = asked.find(|(_, item)| item.text.trim() == "tmpfs") else { continue };
        let mut allowed = evidence.read().facts.setting(&node, "failCgroupV1").filter(|fact| fact.node == node);
        let told = allowed.find(|fact| fact.value.value == "false");
        let cause = match told {
            Some(_) => format!("it has cgroup v1, which the kubelet of 1.{target} only bears with failCgroupV1: false"),
            None => format!("it has cgroup v1, and the kubelet of 1.{target} does not start on it"),
        };
        let finding = findings.proven(machine(&node, "/sys/fs/cgroup"), cause);
        finding.quote(number, 1);
        if let Some(told) = told {
            finding.quote(told.item, told.line).severity(Severity::Warning);
        }
        finding.fix(
            Fix::manual("boot the node with cgroup v2")
                .step("systemd.unified_cgroup_hierarchy=1 on the kernel's command line, or a newer distribution")
                .step("failCgroupV1: false in /var/lib/kubelet/config.yaml   # only for the time until then"),
        );
    }
}
