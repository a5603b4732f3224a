//! A node with memory or PID pressure, or whose network is not set up.

use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0656",
    key: "node-pressure",
    title: "node is short of memory or process numbers",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for node in evidence.read().objects.iter().filter(|found| found.kind() == "Node") {
        for condition in node.object["status"]["conditions"].as_array().into_iter().flatten() {
            let what = match condition["type"].as_str() {
                Some("MemoryPressure") => "memory",
                Some("PIDPressure") => "process numbers",
                _ => continue,
            };
            if condition["status"] != "True" {
                continue;
            }
            let field = format!("status.conditions[{}]", condition["type"].as_str().unwrap_or_default());
            let place = subjects::object("Node", "", node.name(), field);
            let finding = findings.proven(place, format!("the node `{}` is short of {what}", node.name()));
            finding.fix(
                Fix::manual("find what uses it, and give pods requests and limits that fit")
                    .step(format!("kubectl describe node {}", node.name()))
                    .step("kubectl top pods -A --sort-by=memory"),
            );
        }
    }
}
