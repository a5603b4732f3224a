//! A crictl from before CRI v1 asks a runtime that no longer serves v1alpha2.

use super::cri::{self, Asked};
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::same_node;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0210",
    key: "crictl-too-old",
    title: "crictl that asks for a CRI version that is gone",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut seen: Vec<&str> = Vec::new();
    for one in cri::unserved(evidence).filter(|one| one.asked == Asked::V1Alpha2) {
        let node = one.message.node.as_str();
        if seen.contains(&node) || !one.by_crictl || read.plugins.cri_errors(node).next().is_some() {
            continue;
        }
        let crictl = read.versions.iter().filter(|version| version.program == "crictl" && same_node(&version.node, node));
        let crictl = crictl.min_by_key(|version| version.number).filter(|crictl| crictl.number < (1, 26));
        let runtime = read.version(node, "containerd").filter(|containerd| containerd.number >= (2, 0));
        let runtime = runtime.or_else(|| read.version(node, "crio").filter(|crio| crio.number >= (1, 26)));
        let works = read.plugins.cri_works(node);
        let finding = match (crictl, runtime) {
            (Some(crictl), Some(runtime)) => {
                let (program, text) = (runtime.program, &runtime.text);
                let cause = format!("crictl {} asks for CRI v1alpha2, which {program} {text} no longer serves", crictl.text);
                let finding = findings.proven(place(evidence, node), cause);
                finding.quote(crictl.item, crictl.line).quote(runtime.item, runtime.line);
                finding
            }
            (Some(crictl), None) if works => {
                let cause = format!("crictl {} asks for CRI v1alpha2, which the runtime does not serve", crictl.text);
                let finding = findings.proven(place(evidence, node), cause);
                finding.quote(crictl.item, crictl.line);
                finding
            }
            (None, Some(runtime)) => {
                let cause = format!("crictl asks for CRI v1alpha2, which {} {} no longer serves", runtime.program, runtime.text);
                let finding = findings.likely(place(evidence, node), cause);
                finding.quote(runtime.item, runtime.line);
                finding
            }
            (None, None) if works => {
                findings.likely(place(evidence, node), "crictl asks for CRI v1alpha2, while containerd's CRI plugin is healthy")
            }
            _ => continue,
        };
        seen.push(node);
        cri::explain(finding, evidence, node);
        let fix = Fix::manual("install a crictl of the cluster's version, and remove the old one")
            .step("which -a crictl; crictl --version")
            .step("rm the one that stands first on the PATH, if a newer one follows");
        finding.fix(fix);
    }
}

/// The crictl that is found first.
fn place(evidence: &Evidence, node: &str) -> Place {
    let lines = evidence.asked("crictl", Some(node)).flat_map(|(_, item)| item.text.lines());
    let path = lines.map(str::trim).find(|line| line.starts_with('/') && line.ends_with("/crictl"));
    cri::machine(node, path.unwrap_or("crictl"))
}
