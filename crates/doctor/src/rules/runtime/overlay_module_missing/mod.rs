//! The kernel has no overlay file system, so containerd has no snapshotter and no CRI.

use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Severity};
use crate::read::{Message, PluginStatus, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0213",
    key: "overlay-module-missing",
    title: "kernel without overlay",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut seen: Vec<&str> = Vec::new();
    for message in evidence.read().messages.iter().filter(|message| tells(message)) {
        let node = message.node.as_str();
        if seen.contains(&node) {
            continue;
        }
        seen.push(node);
        let cause = "the kernel has no overlay file system: its module is missing and can't be loaded";
        let finding = findings.proven(cri::machine(node, "kernel module overlay"), cause);
        finding.weigh(1);
        explain(finding, evidence, node);
    }
    for node in cri::nodes(evidence) {
        let absent = not_listed(evidence, &node);
        let Some(item) = absent.filter(|_| !seen.iter().any(|other| same_node(other, &node))) else { continue };
        if cri::symptoms(evidence, &node).next().is_none() && !fails(evidence, &node) {
            continue;
        }
        let cause = "the kernel does not list overlay among its file systems";
        let finding = findings.proven(cri::machine(&node, "kernel module overlay"), cause);
        finding.quote(item, 1).weigh(1);
        explain(finding, evidence, &node);
    }
}

fn tells(message: &Message) -> bool {
    let text = &message.text;
    let module = text.contains("Module overlay not found")
        || (text.contains("modprobe") && text.contains("overlay") && (text.contains("fail") || text.contains("not found")));
    let module = module && !text.contains("Module aufs") && !text.contains("Module zfs");
    let transfer = text.contains("no plugins registered for io.containerd.transfer");
    let device = text.contains("overlay") && text.contains("no such device");
    !message.over && (module || transfer || device)
}

/// The item that shows the kernel's file systems, without overlay among them.
fn not_listed(evidence: &Evidence, node: &str) -> Option<usize> {
    let listed = evidence.asked("/proc/filesystems", Some(node));
    let mut whole = listed.filter(|(_, item)| item.text.contains("nodev") || item.text.trim().is_empty());
    whole.find(|(_, item)| !item.text.contains("overlay")).map(|(number, _)| number)
}

fn fails(evidence: &Evidence, node: &str) -> bool {
    let snapshotter = evidence.read().plugins.snapshotter(node, "overlayfs").any(|one| one.status != PluginStatus::Ok);
    snapshotter || evidence.read().failing(&["overlay"]).any(|message| same_node(&message.node, node))
}

fn explain(finding: &mut Finding, evidence: &Evidence, node: &str) {
    cri::explain(finding, evidence, node);
    let more = evidence.read().messages.iter().filter(|message| {
        same_node(&message.node, node) && (tells(message) || (message.is_failure() && message.text.contains("overlay")))
    });
    for message in more {
        finding.message(message);
    }
    let fix = Fix::manual("give the kernel its overlay module, or use another snapshotter")
        .step("modprobe overlay; grep overlay /proc/filesystems")
        .step("install the package of extra kernel modules of this very kernel (uname -r), or load overlay on the host of the container")
        .step("otherwise: snapshotter = \"native\" in /etc/containerd/config.toml")
        .step("systemctl restart containerd");
    finding.fix(fix);
}
