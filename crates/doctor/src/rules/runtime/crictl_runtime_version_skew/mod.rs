//! crictl asks for a CRI version that the runtime does not serve, because they are of different generations.

use super::cri::{self, Asked};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::{PluginStatus, Speaker, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0211",
    key: "crictl-runtime-version-skew",
    title: "crictl and runtime of different ages",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut seen: Vec<&str> = Vec::new();
    for one in cri::unserved(evidence).filter(|one| one.message.speaker == Speaker::Crictl) {
        let node = one.message.node.as_str();
        if seen.contains(&node) {
            continue;
        }
        let failed = read.plugins.cri(node).any(|plugin| plugin.status == PluginStatus::Error);
        let (crictl, containerd) = (read.version(node, "crictl"), read.version(node, "containerd"));
        let old = one.asked == Asked::V1 && containerd.is_some_and(|containerd| containerd.number < (1, 6));
        let finding = if let (Some(crictl), Some(containerd)) = (crictl, containerd)
            && old
            && !failed
        {
            let cause = format!("crictl {} asks for CRI v1, and containerd {} serves only v1alpha2", crictl.text, containerd.text);
            let finding = findings.proven(cri::machine(node, "crictl"), cause);
            finding.quote(crictl.item, crictl.line).quote(containerd.item, containerd.line);
            finding
        } else if old && !failed {
            findings.likely(cri::machine(node, "crictl"), "crictl asks for CRI v1, and this containerd serves only v1alpha2")
        } else if failed {
            // The plugin failed: crictl's age does not matter.
            continue;
        } else {
            let version = if one.asked == Asked::V1 { "v1" } else { "v1alpha2" };
            let cause = format!("crictl asks for CRI {version}, and nobody serves it: either they are of different ages, or the CRI is off");
            let finding = findings.open(cri::machine(node, "crictl"), cause);
            finding.or(&["crictl-too-old", "cri-plugin-not-loaded", "cri-plugin-disabled", "containerd-too-old"]).needs(&[
                "crictl --version",
                "containerd --version (or crio --version)",
                "ctr plugins ls (state of cri)",
            ]);
            finding
        };
        seen.push(node);
        if old {
            cri::explain(finding, evidence, node);
        } else {
            let all = cri::unserved(evidence).filter(|other| same_node(&other.message.node, node));
            for other in all {
                finding.message(other.message);
            }
        }
        let fix = Fix::manual("use a crictl that fits the runtime")
            .step("crictl --version; containerd --version")
            .step("ctr plugins ls | grep cri");
        finding.fix(fix);
    }
}
