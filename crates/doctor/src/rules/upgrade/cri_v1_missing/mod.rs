//! A node's runtime does not serve CRI v1, which kubelets from 1.26 on need.

use super::target::{machine, nodes, target};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0803",
    key: "upgrade-cri-v1-missing",
    title: "runtime without the CRI version that is needed",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

/// First kubelet that speaks nothing but v1.
const NEEDS_V1: u32 = 26;

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let Some(target) = target(evidence).filter(|target| *target >= NEEDS_V1) else { return };
    for node in nodes(evidence) {
        let mut served = evidence.read().facts.setting(&node, "runtime.v1").filter(|fact| fact.node == node);
        let Some(fact) = served.next().filter(|fact| fact.value.value == "not served") else { continue };
        let cause = format!("its runtime does not serve CRI v1, and the kubelet of 1.{target} speaks nothing else");
        let finding = findings.proven(machine(&node, "container runtime"), cause);
        finding.quote(fact.item, fact.line);
        finding.fix(
            Fix::manual("upgrade the container runtime first")
                .step("containerd 1.6 or later, cri-o 1.20 or later, cri-dockerd 0.3 or later")
                .step("ctr plugins ls -d id==cri   # why it is not served, if the version is right"),
        );
    }
}
