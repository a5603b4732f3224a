//! The socket belongs to a cri-dockerd before 0.3, which serves only CRI v1alpha2.

use super::cri::{self, Asked};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0209",
    key: "cri-dockerd-too-old",
    title: "cri-dockerd without CRI v1",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut seen: Vec<&str> = Vec::new();
    for one in cri::unserved(evidence).filter(|one| one.asked == Asked::V1) {
        let node = one.message.node.as_str();
        let version = read.version(node, "cri-dockerd");
        let socket = cri::socket(&one.message.text).filter(|socket| socket.contains("cri-dockerd"));
        let old = version.filter(|version| version.number < (0, 3));
        if seen.contains(&node) || (socket.is_none() && old.is_none()) {
            continue;
        }
        if version.is_some() && old.is_none() {
            continue;
        }
        seen.push(node);
        let finding = if let Some(old) = old {
            let cause = format!("cri-dockerd {} serves only CRI v1alpha2; the client needs v1", old.text);
            let finding = findings.proven(cri::machine(node, "cri-dockerd"), cause);
            finding.quote(old.item, old.line);
            finding
        } else {
            let socket = socket.unwrap_or_default();
            let cause = format!("the cri-dockerd behind {socket} does not serve CRI v1, as before its version 0.3");
            findings.likely(cri::machine(node, "cri-dockerd"), cause)
        };
        finding.weigh(2);
        cri::explain(finding, evidence, node);
        let fix = Fix::manual("upgrade cri-dockerd to 0.3 or later")
            .step("cri-dockerd --version")
            .step("systemctl restart cri-docker kubelet");
        finding.fix(fix);
    }
}
