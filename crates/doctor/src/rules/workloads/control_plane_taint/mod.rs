//! Every node is a control plane with its taint, so ordinary pods have nowhere to run.

use super::{scheduling, subjects};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::table;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0611",
    key: "control-plane-taint",
    title: "there are only control-plane nodes, with their taint",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let kept = scheduling::failures(read).filter(|(_, unfit)| {
        // Newer schedulers don't say which taints: then the nodes must.
        let unnamed = unfit.with("untolerated taint(s)") >= unfit.total && only_control_planes(evidence);
        unfit.total > 0 && (unfit.control_planes() >= unfit.total || unnamed)
    });
    let all = subjects::grouped(kept.map(|(message, unfit)| (unfit.total, message)));
    for (total, messages) in all {
        let names: Vec<&str> = read.nodes.iter().map(|node| node.name.as_str()).collect();
        let node = match names.as_slice() {
            [only] => format!("the only node, `{only}`, is a control plane and keeps its taint"),
            _ if total == 1 => "the only node is a control plane and keeps its taint".to_owned(),
            _ => format!("all {total} nodes are control planes and keep their taint"),
        };
        let place = subjects::object("Node", "", names.first().copied().unwrap_or_default(), "spec.taints");
        let cause = format!("{node}, so {} has nowhere to run", subjects::pods_of(&messages));
        let finding = findings.proven(place, cause);
        for message in &messages {
            finding.message(message);
        }
        let old = messages.iter().any(|message| message.text.contains("node-role.kubernetes.io/master"));
        let role = if old { "master" } else { "control-plane" };
        let node = names.first().copied().filter(|_| names.len() == 1).unwrap_or("--all");
        finding.fix(
            Fix::manual("take the taint off, or add a worker node")
                .step(format!("kubectl taint nodes {node} node-role.kubernetes.io/{role}-")),
        );
    }
}

/// Whether the list of nodes names control planes only.
fn only_control_planes(evidence: &Evidence) -> bool {
    let rows = evidence.items().iter().flat_map(|item| table::columns(&item.text, "NAME"));
    let mut roles = rows.filter(|row| row.has("ROLES")).map(|row| row.get("ROLES")).peekable();
    roles.peek().is_some() && roles.all(|roles| roles.contains("control-plane") || roles.contains("master"))
}
