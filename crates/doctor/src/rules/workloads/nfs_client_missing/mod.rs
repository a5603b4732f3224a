//! The node lacks mount.nfs, so NFS volumes can't be mounted.

use std::sync::LazyLock;

use regex::Regex;

use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Finding, Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::text::Position;

pub const RULE: Rule = Rule {
    code: "SM0617",
    key: "nfs-client-missing",
    title: "node has no program for mounting NFS",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static HELPER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"you might need a /sbin/mount\.<type> helper program",
        r"|wrong fs type, bad option, bad superblock on \S+:/",
        r"|mount\.nfs4?: (?:not found|No such file)",
        r"|/sbin/mount\.nfs4?'?: No such file or directory",
        r"|no packages found matching nfs-common",
        r"|package nfs-utils is not installed",
        r#"|exec: "mount\.nfs4?": executable file not found"#,
        r"|unknown filesystem type 'nfs4?'",
    ))
    .ok()
});

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let Some(form) = HELPER.as_ref() else { return };
    let mounts = evidence.read().failures().any(|message| message.text.contains("nfs") || message.text.contains("mount failed"));
    let mut found: Option<&mut Finding> = None;
    for (number, item) in evidence.items().iter().enumerate() {
        if matches!(item.kind, ItemKind::Manifest | ItemKind::Unavailable | ItemKind::ContainerdConfig) {
            continue;
        }
        let Some(words) = form.find(&item.text).filter(|words| is_nfs(evidence, &item.text, words.as_str())) else { continue };
        let is_fact = item.kind == ItemKind::NodeFacts;
        let alone = words.as_str().contains("nfs-common") || words.as_str().contains("nfs-utils");
        if alone && !mounts && !item.text.contains("mount") {
            continue;
        }
        let line = Position::of(&item.text, words.start()).line;
        if let Some(finding) = &mut found {
            finding.quote(number, line);
            continue;
        }
        let node = evidence.read().messages.iter().filter(|one| one.item == number).map(|one| one.node.as_str());
        let node = item.origin.node().or(node.into_iter().find(|node| !node.is_empty())).unwrap_or_default().to_owned();
        let on = if node.is_empty() { "the node".to_owned() } else { format!("the node `{node}`") };
        let cause = format!("{on} has no /sbin/mount.nfs, so it can't mount NFS volumes");
        let place = Place::Machine { node, what: "/sbin/mount.nfs".to_owned() };
        let finding = if is_fact { findings.proven(place, cause) } else { findings.likely(place, cause) };
        finding.quote(number, line);
        finding.fix(
            Fix::manual("install the NFS client on every node that may run such pods")
                .step("apt install nfs-common   (Debian, Ubuntu)")
                .step("dnf install nfs-utils    (Fedora, RHEL)"),
        );
        found = Some(finding);
    }
    if let Some(finding) = found {
        let about = |text: &str| text.contains("MountVolume.SetUp failed") || text.contains("mount failed") || form.is_match(text);
        for message in evidence.read().failures().filter(|message| about(&message.text)) {
            finding.message(message);
        }
        for message in evidence.read().failures().filter(|message| message.text.contains("nmounted volumes=")) {
            finding.message(message);
        }
    }
}

/// Whether the complaint is about NFS and nothing says that the helper is there.
fn is_nfs(evidence: &Evidence, text: &str, words: &str) -> bool {
    let there = evidence.items().iter().any(|item| {
        item.text.lines().any(|line| line.trim_end().ends_with("/sbin/mount.nfs") && !line.contains("o such file"))
    });
    !there && (words.contains("nfs") || text.contains("nfs") || words.contains(":/"))
}
