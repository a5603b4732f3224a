//! The caller may not open the runtime's socket.

use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0220",
    key: "runtime-socket-permission",
    title: "no permission for the runtime's socket",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for message in evidence.read().failing(&["permission denied", ".sock"]) {
        let Some(socket) = cri::socket(&message.text).filter(|socket| is_runtime(socket)) else { continue };
        if seen.contains(&(message.node.as_str(), socket)) {
            continue;
        }
        seen.push((&message.node, socket));
        let cause = format!("the user who ran this may not open {socket}");
        let finding = findings.proven(cri::machine(&message.node, format!("{socket} permissions")), cause);
        for other in evidence.read().failing(&["permission denied", ".sock"]) {
            if other.node == message.node && cri::socket(&other.text) == Some(socket) {
                finding.message(other);
            }
        }
        let fix = Fix::manual("run the command as root").step("sudo !!").step(format!("ls -l {socket}; id"));
        finding.fix(fix);
    }
}

fn is_runtime(socket: &str) -> bool {
    ["containerd", "crio", "docker", "podman", "buildkit"].iter().any(|name| socket.contains(name))
}
