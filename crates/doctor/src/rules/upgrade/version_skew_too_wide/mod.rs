//! The step is too wide: more than one minor version, or kubelets that would be too old for the new API server.

use super::target::{machine, server, target};
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0808",
    key: "upgrade-version-skew",
    title: "upgrade over more versions than are supported",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

/// How many minor versions a kubelet may be older than the API server; two before 1.28.
const KUBELET: u32 = 3;

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let Some(target) = target(evidence) else { return };
    if let Some((item, now)) = server(evidence) {
        let place = Place::Service("API server".to_owned());
        if target > now + 1 {
            let cause = format!("the cluster runs 1.{now}: control planes go one minor version at a time, not to 1.{target}");
            let finding = findings.proven(place, cause);
            finding.quote(item, 1);
            let steps: Vec<String> = (now + 1..=target).map(|minor| format!("1.{minor}")).collect();
            finding.fix(Fix::manual(format!("upgrade in steps: {}", steps.join(", "))));
        } else if target < now {
            let cause = format!("the cluster runs 1.{now} already: it can't go back to 1.{target}");
            findings.proven(place, cause).quote(item, 1);
        }
    }
    let allowed = if target >= 28 { KUBELET } else { KUBELET - 1 };
    let mut seen: Vec<&str> = Vec::new();
    for version in evidence.read().versions.iter().filter(|version| version.program == "kubelet") {
        let old = version.number.0 == 1 && version.number.1 + allowed < target;
        if !old || seen.contains(&version.node.as_str()) {
            continue;
        }
        seen.push(&version.node);
        let cause = format!("its kubelet is {}; an API server of 1.{target} bears kubelets from 1.{} on", version.text, target - allowed);
        let finding = findings.proven(machine(&version.node, "kubelet"), cause);
        finding.quote(version.item, version.line);
        finding.fix(Fix::manual("upgrade this kubelet first, to the API server's present version"));
    }
}
