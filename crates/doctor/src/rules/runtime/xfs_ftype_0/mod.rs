//! containerd's root lies on a file system without d_type, so overlayfs and with it the CRI plugin fail.

use std::collections::BTreeMap;

use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Severity};
use crate::read::{Message, PluginStatus, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0201",
    key: "xfs-ftype-0",
    title: "file system without entry types under containerd",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let told = told(evidence);
    for ((node, root), messages) in &told {
        let place = cri::machine(node, format!("{root} file system"));
        let cause = format!("the file system under `{root}` does not store the types of directory entries (d_type)");
        let finding = findings.proven(place, cause);
        finding.weigh(1);
        for message in messages {
            finding.message(message);
        }
        mend(evidence, finding, node, root);
    }
    for node in cri::nodes(evidence) {
        if !told.keys().any(|(other, _)| same_node(other, &node)) {
            by_facts(evidence, findings, &node);
        }
    }
}

/// What programs say of d_type, by node and directory.
fn told(evidence: &Evidence) -> BTreeMap<(String, String), Vec<&Message>> {
    let mut told: BTreeMap<(String, String), Vec<&Message>> = BTreeMap::new();
    for message in evidence.read().failing(&["d_type"]) {
        let said = message.text.contains("does not support d_type")
            || message.text.contains("without d_type support")
            || message.text.contains("needs to support d_type");
        if !said {
            continue;
        }
        let node = message.node.clone();
        let root = root_of(&message.text).unwrap_or_else(|| configured_root(evidence, &node));
        told.entry((node, root)).or_default().push(message);
    }
    told
}

/// The root in `ROOT/io.containerd.snapshotter.v1.overlayfs does not support d_type`.
fn root_of(text: &str) -> Option<String> {
    let (before, _) = text.split_once(" does not support d_type")?;
    let path = before.rsplit([' ', '"']).next()?;
    let root = path.split("/io.containerd.").next()?;
    root.starts_with('/').then(|| root.to_owned())
}

fn configured_root(evidence: &Evidence, node: &str) -> String {
    let config = evidence.read().configs.iter().find(|config| same_node(&config.node, node));
    config.map_or_else(|| "/var/lib/containerd".to_owned(), crate::read::ContainerdConfig::root)
}

/// No words about d_type: the file system and the state of the plugins must do.
fn by_facts(evidence: &Evidence, findings: &mut Findings<'_>, node: &str) {
    let read = evidence.read();
    let root = configured_root(evidence, node);
    let mount = read.facts.mount_of(node, &root);
    let flat = read.facts.xfs.iter().find(|xfs| {
        let device = &xfs.value.device;
        let asked = evidence.items()[xfs.item].origin.source();
        let under_root = match mount {
            Some(mount) => mount.value.source == *device || (device.is_empty() && asked.contains(&mount.value.target)),
            None => true,
        };
        !xfs.value.ftype && same_node(&xfs.node, node) && (under_root || *device == root)
    });
    let failed = |status: &crate::read::plugins::Plugin| status.status == PluginStatus::Error;
    let overlay = read.plugins.snapshotter(node, "overlayfs").find(|plugin| failed(plugin) && plugin.error.is_empty());
    let trouble = cri::symptoms(evidence, node).next().is_some() || overlay.is_some();
    let place = || cri::machine(node, format!("{root} file system"));
    let missing = cri::said(evidence, node, "failed to find snapshotter \"overlayfs\"");
    let finding = if let Some(flat) = flat.filter(|_| trouble || mount.is_some()) {
        let cause = format!("`{root}` lies on an xfs that was made with ftype=0");
        let finding = findings.proven(place(), cause);
        finding.quote(flat.item, flat.line).weigh(1);
        finding
    } else if let (Some(overlay), Some(mount)) = (overlay, mount.filter(|mount| mount.value.kind == "xfs")) {
        let cause = format!("overlayfs does not work on the xfs under `{root}`, as it is when that was made with ftype=0");
        let finding = findings.likely(place(), cause);
        finding.quote(overlay.item, overlay.line).quote(mount.item, mount.line);
        finding
    } else if mount.is_none() && (overlay.is_some() || missing) && !overlay_is_off(evidence, node) {
        let finding = findings.open(place(), "the snapshotter overlayfs does not work on this node, and nothing shows why");
        finding
            .or(&["overlay-module-missing", "overlay-unsupported-backing-fs", "cri-snapshotter-unknown"])
            .needs(&[
                "containerd journal (\"failed to load plugin\" of overlayfs, \"modprobe\")",
                "findmnt -T /var/lib/containerd (the file system type under containerd's root)",
                "xfs_info of that mount (ftype)",
                "/etc/containerd/config.toml (root, snapshotter)",
            ]);
        finding
    } else {
        return;
    };
    cri::explain(finding, evidence, node);
    mend(evidence, finding, node, &root);
}

fn overlay_is_off(evidence: &Evidence, node: &str) -> bool {
    let configs = evidence.read().configs.iter().filter(|config| same_node(&config.node, node));
    configs.flat_map(|config| config.disabled_plugins()).any(|plugin| plugin.value.contains("overlayfs"))
}

fn mend(evidence: &Evidence, finding: &mut Finding, node: &str, root: &str) {
    for message in cri::symptoms(evidence, node).chain(evidence.read().failing(&["does not support d_type"])) {
        if same_node(&message.node, node) && !finding.explains.contains(&message.number) {
            finding.message(message);
        }
    }
    let good = evidence.read().facts.xfs.iter().find(|xfs| xfs.value.ftype && same_node(&xfs.node, node));
    if let Some(good) = good.filter(|good| !good.value.device.is_empty()) {
        finding.note(format!("`{}` was made with ftype=1 and is not the one in use", good.value.device));
    }
    let fix = Fix::manual("move containerd's root to a file system with d_type (ext4, or xfs made with ftype=1)")
        .step(format!("findmnt -T {root}; xfs_info {root} | grep ftype"))
        .step("systemctl stop kubelet containerd")
        .step("set `root` in /etc/containerd/config.toml to a directory on the other file system, or make this one anew: mkfs.xfs -n ftype=1 DEVICE")
        .step("systemctl start containerd kubelet");
    finding.fix(fix);
}
