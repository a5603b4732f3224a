//! containerd before 1.6 serves only CRI v1alpha2, and the client needs v1.

use super::cri::{self, Asked};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::{Speaker, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0208",
    key: "containerd-too-old",
    title: "containerd without CRI v1",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut seen: Vec<&str> = Vec::new();
    for version in read.versions.iter().filter(|version| version.program == "containerd" && version.number < (1, 6)) {
        let node = version.node.as_str();
        if seen.contains(&node) || read.version(node, "containerd").is_some_and(|newest| newest.number >= (1, 6)) {
            continue;
        }
        let mut asked = cri::unserved(evidence).filter(|one| same_node(&one.message.node, node));
        let asked = asked.find(|one| one.asked == Asked::V1 && !one.message.text.contains("dockerd.sock"));
        let kubelet = read.version(node, "kubelet").filter(|kubelet| kubelet.number >= (1, 26));
        if (asked.is_none() && kubelet.is_none()) || read.plugins.cri_errors(node).next().is_some() {
            continue;
        }
        if asked.is_some_and(|one| one.by_crictl && one.message.speaker == Speaker::Crictl) && kubelet.is_none() {
            // Only crictl missed it: that is a matter of crictl's age as much as of containerd's.
            continue;
        }
        seen.push(node);
        let client = kubelet.map_or_else(|| "the client".to_owned(), |kubelet| format!("kubelet {}", kubelet.text));
        let place = cri::machine(node, format!("containerd {}", version.text));
        let cause = format!("containerd {} serves only CRI v1alpha2; {client} needs v1", version.text);
        let finding = findings.proven(place, cause);
        finding.quote(version.item, version.line);
        cri::explain(finding, evidence, node);
        let fix = Fix::manual("upgrade containerd to 1.6 or later")
            .step("apt-get install --only-upgrade containerd.io   # or the package of your distribution")
            .step("systemctl restart containerd kubelet");
        finding.fix(fix);
    }
}
