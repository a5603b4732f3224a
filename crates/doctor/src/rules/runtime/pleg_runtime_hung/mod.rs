//! The runtime does not answer the kubelet's list of pods in time.

use std::sync::LazyLock;

use regex::Regex;

use super::cri;
use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Fix, Severity};
use crate::read::{Message, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0227",
    key: "pleg-runtime-hung",
    title: "container runtime that does not answer",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static ACTIVE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"pleg was last seen active (?:(\d+)h)?(?:(\d+)m)?([\d.]+)s ago").ok());

/// Signs of processes that hang, and what they show.
const SIGNS: [(&str, &str); 6] = [
    ("blocked for more than", "the kernel reports tasks that hang"),
    ("not responding, still trying", "an NFS server does not answer"),
    ("not responding, timed out", "an NFS server does not answer"),
    ("Stale file handle", "a network file system is gone"),
    ("I/O error", "the disk gives errors"),
    ("soft lockup", "the kernel hangs"),
];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut seen: Vec<&str> = Vec::new();
    for message in evidence.read().messages.iter().filter(|message| !message.over && is_hung(message)) {
        let node = message.node.as_str();
        if seen.contains(&node) {
            continue;
        }
        seen.push(node);
        let place = cri::machine(node, "container runtime");
        let finding = if let Some((item, line, what)) = sign(evidence, node) {
            let finding = findings.likely(place, format!("the container runtime does not answer the kubelet: {what}"));
            finding.quote(item, line);
            finding
        } else {
            let finding = findings.open(place, "the kubelet could not list the pods for minutes; why the runtime does not answer is not shown");
            finding.or(&["runtime-request-too-slow"]).needs(&[
                "time crictl ps on the node",
                "containerd or docker journal",
                "processes in D state, hung NFS mounts (ps, dmesg)",
                "number of containers and load of the node",
            ]);
            finding
        };
        let all = evidence.read().messages.iter().filter(|other| !other.over && same_node(&other.node, node));
        for other in all.filter(|other| is_hung(other) || other.text.contains("container runtime is down")) {
            finding.message(other);
        }
        let fix = Fix::manual("find what hangs, and restart the runtime only then")
            .step("time crictl ps")
            .step("ps -eo pid,stat,wchan:32,cmd | awk '$2 ~ /D/'")
            .step("dmesg -T | grep -E 'blocked for more|nfs|I/O error'; findmnt -t nfs,nfs4; uptime")
            .step("systemctl restart containerd");
        finding.fix(fix);
    }
}

/// Inactive for minutes; at the kubelet's start the same check has not run yet, which is normal.
fn is_hung(message: &Message) -> bool {
    let text = &message.text;
    let fields = || message.fields.iter().any(|(_, value)| value.contains("PLEG is not healthy"));
    if !text.contains("PLEG is not healthy") && !text.contains("PLEG was last seen") && !fields() {
        return false;
    }
    let condition = message.fields.iter().map(|(_, value)| value.as_str()).find(|value| value.contains("pleg was last"));
    let told = ACTIVE.as_ref().and_then(|form| form.captures(condition.unwrap_or(text)));
    let Some(told) = told else { return !text.contains("yet to be successful") && !fields() };
    let number = |group: usize| told.get(group).and_then(|found| found.as_str().parse::<f64>().ok()).unwrap_or(0.0);
    number(1) * 3600.0 + number(2) * 60.0 + number(3) >= 180.0
}

/// A line that shows what hangs: item, line, words.
fn sign(evidence: &Evidence, node: &str) -> Option<(usize, u32, &'static str)> {
    for (number, item) in evidence.items().iter().enumerate() {
        if !item.origin.node().is_none_or(|found| same_node(found, node)) || item.kind == ItemKind::KubeletLog {
            continue;
        }
        let processes = item.origin.source().contains("ps ");
        for (index, line) in item.text.lines().enumerate() {
            let at = u32::try_from(index + 1).unwrap_or(u32::MAX);
            if let Some((_, what)) = SIGNS.iter().find(|(words, _)| line.contains(words)) {
                return Some((number, at, what));
            }
            let hangs = |word: &str| matches!(word, "D" | "Ds" | "D+" | "Dl" | "Dsl" | "D<" | "DN" | "Ds+" | "Dl+");
            if processes && line.split_whitespace().any(hangs) {
                return Some((number, at, "processes hang in the kernel (state D)"));
            }
        }
    }
    None
}
