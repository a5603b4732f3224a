//! overlayfs cannot use the file system below containerd's root as its upper layer.

use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::{Message, PluginStatus, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0214",
    key: "overlay-unsupported-backing-fs",
    title: "file system under containerd that overlayfs cannot use",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

/// File systems that cannot hold the upper directory of an overlay.
const UNFIT: [&str; 14] = [
    "nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "overlay", "overlayfs", "aufs", "vfat", "exfat", "ecryptfs", "zfs", "fuse",
];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut seen: Vec<String> = Vec::new();
    let all = evidence.read().failing(&["overlay"]).filter(|message| tells(message));
    for message in all {
        if seen.contains(&message.node) {
            continue;
        }
        seen.push(message.node.clone());
        let root = directory(evidence, message);
        report(evidence, findings, &message.node, &root, Some(message));
    }
    for node in cri::nodes(evidence) {
        if seen.iter().any(|other| same_node(other, &node)) {
            continue;
        }
        let config = evidence.read().configs.iter().find(|config| same_node(&config.node, &node));
        let root = config.map_or_else(|| "/var/lib/containerd".to_owned(), crate::read::ContainerdConfig::root);
        let mut overlay = evidence.read().plugins.snapshotter(&node, "overlayfs");
        let failed = overlay.any(|plugin| plugin.status != PluginStatus::Ok)
            || cri::said(evidence, &node, "failed to find snapshotter \"overlayfs\"");
        let unfit = evidence.read().facts.mount_of(&node, &root).is_some_and(|mount| is_unfit(&mount.value.kind));
        if failed && unfit {
            report(evidence, findings, &node, &root, None);
        }
    }
}

fn tells(message: &Message) -> bool {
    const WORDS: [&str; 6] = [
        "failed to mount overlay: invalid argument",
        "snapshotter cannot be enabled for",
        "not supported as upperdir",
        "upper fs does not support",
        "is not supported over",
        "upper fs missing required features",
    ];
    let text = &message.text;
    let mounted = text.contains("mount") && text.contains("overlay") && text.contains("invalid argument");
    (mounted || WORDS.iter().any(|words| text.contains(words)))
        && !text.contains("d_type")
        && !text.contains("no such device")
        && !text.contains("operation not permitted")
}

fn is_unfit(kind: &str) -> bool {
    UNFIT.contains(&kind) || kind.starts_with("fuse")
}

/// The directory that the message names, or containerd's root.
fn directory(evidence: &Evidence, message: &Message) -> String {
    let named = message.text.split(['"', '\'', '`', ' ', ',']).find(|word| {
        word.starts_with('/') && word.len() > 1 && !word.starts_with("/usr/") && !word.starts_with("/proc/")
    });
    if let Some(named) = named {
        let named = named.split("/io.containerd.").next().unwrap_or(named);
        return named.trim_end_matches(':').to_owned();
    }
    let config = evidence.read().configs.iter().find(|config| same_node(&config.node, &message.node));
    config.map_or_else(|| "/var/lib/containerd".to_owned(), crate::read::ContainerdConfig::root)
}

fn report(evidence: &Evidence, findings: &mut Findings<'_>, node: &str, root: &str, message: Option<&Message>) {
    let mount = evidence.read().facts.mount_of(node, root);
    let place = cri::machine(node, format!("file system under {root}"));
    let finding = match mount {
        Some(mount) if is_unfit(&mount.value.kind) => {
            let cause = format!("`{root}` lies on {}, which overlayfs cannot use as its upper layer", mount.value.kind);
            let finding = findings.proven(place, cause);
            finding.quote(mount.item, mount.line);
            finding
        }
        _ => findings.likely(place, format!("overlayfs cannot use the file system under `{root}` as its upper layer")),
    };
    finding.weigh(1);
    cri::explain(finding, evidence, node);
    if let Some(message) = message {
        finding.message(message);
    }
    for other in evidence.read().failing(&["overlay"]).filter(|other| same_node(&other.node, node)) {
        finding.message(other);
    }
    let fix = Fix::manual("put containerd's directory on a local ext4 or xfs, or use another snapshotter")
        .step(format!("findmnt -T {root}"))
        .step("mount a local file system there, or set `root` in /etc/containerd/config.toml to one")
        .step("otherwise: snapshotter = \"native\" or \"fuse-overlayfs\"")
        .step("systemctl restart containerd");
    finding.fix(fix);
}
