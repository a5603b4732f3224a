//! A node is low on disk: it evicts pods and takes no new ones.

use super::{scheduling, subjects};
use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Fix, Severity};
use crate::read::{Message, Read};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0613",
    key: "node-disk-pressure",
    title: "node is low on disk",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut signs: Vec<&Message> = read.messages.iter().filter(|message| is_sign(message) && !is_relieved(read, message)).collect();
    signs.extend(scheduling::failures(read).filter(|(_, unfit)| unfit.with("disk-pressure") > 0).map(|(message, _)| message));
    let described = pressed(evidence);
    let node = signs.iter().map(|message| message.node.as_str()).find(|node| !node.is_empty());
    let node = described.as_ref().map(|(node, _)| node.as_str()).or(node).unwrap_or_default();
    if signs.is_empty() && described.is_none() {
        return;
    }
    let cause = format!("{} is low on disk", if node.is_empty() { "a node".to_owned() } else { format!("the node `{node}`") });
    let finding = findings.likely(subjects::object("Node", "", node, "status.conditions[DiskPressure]"), cause);
    for message in &signs {
        finding.message(message);
    }
    if let Some((_, (item, line))) = described {
        finding.quote(item, line);
    }
    finding.fix(
        Fix::manual("free disk on the node (images, logs, leftovers), or enlarge it")
            .step("df -h /var/lib/kubelet /var/lib/containerd; df -i")
            .step("crictl rmi --prune")
            .step("journalctl --vacuum-size=500M"),
    );
}

fn is_sign(message: &Message) -> bool {
    let fields: String = message.fields.iter().map(|(_, value)| format!(" {value}")).collect();
    let text = &format!("{}{fields}", message.text);
    let low = text.contains("low on resource: ephemeral-storage")
        || text.contains("low on resource: nodefs")
        || text.contains("low on resource: imagefs")
        || text.contains("low on resource: [DiskPressure]")
        || text.contains("had condition: [DiskPressure]");
    let kubelet = text.contains("ttempting to reclaim") && (text.contains("ephemeral-storage") || text.contains("nodefs") || text.contains("imagefs"))
        || text.contains("failed to garbage collect required amount of images");
    !message.over && (low || kubelet || message.reason == "NodeHasDiskPressure" || message.reason == "FreeDiskSpaceFailed")
}

/// Whether it has passed since.
fn is_relieved(read: &Read, sign: &Message) -> bool {
    let better = read.messages.iter().filter(|other| other.reason == "NodeHasNoDiskPressure");
    better.filter_map(|other| other.age).min().zip(sign.age).is_some_and(|(better, age)| better < age)
}

/// A node whose condition says so: its name, item and line.
fn pressed(evidence: &Evidence) -> Option<(String, (usize, u32))> {
    let has = |found: &&crate::read::objects::Found| {
        let conditions = found.object["status"]["conditions"].as_array();
        conditions.into_iter().flatten().any(|one| one["type"] == "DiskPressure" && one["status"] == "True")
    };
    let objects = evidence.read().objects.iter().filter(|found| found.kind() == "Node");
    if let Some(found) = objects.into_iter().find(has) {
        return Some((found.name().to_owned(), (found.item, 1)));
    }
    let items = evidence.items().iter().enumerate();
    let mut texts = items.filter(|(_, item)| matches!(item.kind, ItemKind::KubectlOutput | ItemKind::PodEvents | ItemKind::Text));
    texts.find_map(|(number, item)| {
        let line = item.text.lines().position(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some("DiskPressure") && words.next() == Some("True")
        })?;
        let name = item.text.lines().find_map(|line| line.strip_prefix("Name:")).unwrap_or_default();
        Some((name.trim().to_owned(), (number, u32::try_from(line + 1).unwrap_or(u32::MAX))))
    })
}
