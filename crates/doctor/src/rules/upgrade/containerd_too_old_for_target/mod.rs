//! containerd 1.x, and a target that needs 2.0.

use super::target::{machine, nodes, target};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0804",
    key: "upgrade-containerd-too-old",
    title: "containerd older than the target supports",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

/// First Kubernetes that no longer supports containerd 1.x.
const NEEDS_2: u32 = 36;

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let Some(target) = target(evidence).filter(|target| *target >= NEEDS_2) else { return };
    for node in nodes(evidence) {
        let Some(version) = evidence.read().version(&node, "containerd").filter(|version| version.node == node) else {
            continue;
        };
        if version.number >= (2, 0) {
            continue;
        }
        let cause = format!("it runs containerd {}; Kubernetes 1.{target} supports 2.0 and later", version.text);
        let finding = findings.proven(machine(&node, "containerd"), cause);
        finding.quote(version.item, version.line);
        finding.fix(
            Fix::manual("upgrade containerd to 2.x, node by node, before Kubernetes")
                .step(format!("kubectl drain {node} --ignore-daemonsets"))
                .step("containerd config migrate > /etc/containerd/config.toml.new   # with the new containerd")
                .step(format!("systemctl restart containerd kubelet && kubectl uncordon {node}")),
        );
    }
}
