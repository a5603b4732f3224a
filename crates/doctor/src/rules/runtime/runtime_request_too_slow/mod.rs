//! A request ran over its time in the runtime and still holds the name that the next tries need.

use super::cri;
use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Certainty, Fix, Severity};
use crate::read::{Message, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0228",
    key: "runtime-request-too-slow",
    title: "request to the runtime that ran over its time",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut seen: Vec<(&str, &(String, String))> = Vec::new();
    for message in evidence.read().failures().filter(|message| is_reserved(message) || is_late(message)) {
        let group = (message.node.as_str(), &message.pod);
        if seen.contains(&group) {
            continue;
        }
        seen.push(group);
        let all = || evidence.read().failures().filter(|other| (other.node.as_str(), &other.pod) == group);
        let reserved = all().any(is_reserved);
        let place = cri::machine(&message.node, "container runtime");
        let finding = if let Some((item, line)) = load(evidence, &message.node) {
            let finding = findings.likely(place, "the node is too slow: a request to the runtime ran over its time and still holds the pod's name");
            finding.quote(item, line);
            finding
        } else if reserved {
            findings.open(place, "an earlier request ran over its time in the runtime and still holds the name; what made it slow is not shown")
        } else {
            findings.open(place, "the runtime did not make the sandbox in time; what made it slow is not shown")
        };
        finding.weigh(-1);
        if finding.certainty == Certainty::Open {
            finding.or(&["pleg-runtime-hung", "seccomp-bpf-jit-limit"]).needs(&[
                "containerd journal around the first DeadlineExceeded",
                "disk I/O and load of the node (iostat, uptime)",
                "CNI log (the pod network's plugin and daemon)",
            ]);
        }
        for other in all().filter(|other| is_reserved(other) || is_late(other)) {
            finding.message(other);
        }
        let fix = Fix::manual("relieve the node; the name becomes free when the first request ends")
            .step("journalctl -u containerd | grep -B5 -A5 'deadline exceeded'")
            .step("iostat -x 1 5; uptime; crictl pods --state NotReady")
            .step("systemctl restart containerd   # frees names that are held for good");
        finding.fix(fix);
    }
}

fn is_reserved(message: &Message) -> bool {
    let text = &message.text;
    text.contains("is reserved for") && (text.contains("failed to reserve sandbox name") || text.contains("failed to reserve container name"))
}

/// A sandbox or container that was not made in time.
fn is_late(message: &Message) -> bool {
    let text = &message.text;
    let makes = message.reason == "FailedCreatePodSandBox"
        || text.contains("RunPodSandbox")
        || text.contains("CreatePodSandbox")
        || text.contains("CreateContainer");
    let late = text.contains("DeadlineExceeded") || text.contains("context deadline exceeded");
    makes && late && !text.contains("http") && !text.contains("sandbox image") && !text.contains("plugin type=")
}

/// A line that shows a node under load.
fn load(evidence: &Evidence, node: &str) -> Option<(usize, u32)> {
    for (number, item) in evidence.items().iter().enumerate() {
        let facts = matches!(item.kind, ItemKind::NodeFacts | ItemKind::Text);
        if !facts || !item.origin.node().is_none_or(|found| same_node(found, node)) {
            continue;
        }
        let mut util = None;
        for (index, line) in item.text.lines().enumerate() {
            let at = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let words: Vec<&str> = line.split_whitespace().collect();
            if let Some(column) = words.iter().position(|word| *word == "%util") {
                util = Some(column);
                continue;
            }
            let busy = util.and_then(|column| words.get(column)?.parse::<f64>().ok()).is_some_and(|util| util >= 90.0);
            let average = line.split_once("load average:").map(|(_, rest)| rest.trim_start());
            let average = average.and_then(|rest| rest.split([',', ' ']).next()?.parse::<f64>().ok());
            if busy || average.is_some_and(|average| average >= 20.0) || line.contains("blocked for more than") {
                return Some((number, at));
            }
        }
    }
    None
}
