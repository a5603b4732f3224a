//! The snapshotter that the configuration asks for does not exist or cannot work on this machine.

use std::sync::LazyLock;

use regex::Regex;

use super::{config_file, cri};
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::containerd::{IMAGE_PLUGINS, RUNTIME_PLUGINS};
use crate::read::{ContainerdConfig, PluginStatus, same_node};
use crate::rule::{Findings, Rule};
use crate::text::visible;

pub const RULE: Rule = Rule {
    code: "SM0207",
    key: "cri-snapshotter-unknown",
    title: "snapshotter that does not exist here",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

/// Snapshotters that come with containerd, of any version.
const BUILT_IN: [&str; 9] =
    ["overlayfs", "native", "btrfs", "zfs", "devmapper", "aufs", "blockfile", "erofs", "windows"];

static NAMED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?:failed to find snapshotter|snapshotter not found:?|unknown snapshotter:?) "?([\w.\-]+)"?"#).ok());

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut seen: Vec<&str> = Vec::new();
    for config in &read.configs {
        let wanted = config.cri_string(&RUNTIME_PLUGINS, &["containerd", "snapshotter"]);
        let Some(wanted) = wanted.or_else(|| config.cri_string(&IMAGE_PLUGINS, &["snapshotter"])) else { continue };
        let Some(why) = why(evidence, config, &wanted.value) else { continue };
        seen.push(&config.node);
        let span = config_file::inside(&evidence.items()[config.item].text, &wanted.span);
        let cause = format!("`{}` asks for the snapshotter {}, {why}", config.path, visible(&wanted.value));
        let finding = findings.proven(Place::Text { item: config.item, span: span.clone() }, cause);
        finding.weigh(1);
        cri::explain(finding, evidence, &config.node);
        cri::quote_errors(finding, evidence, &config.node, "snapshotter");
        for plugin in read.plugins.snapshotter(&config.node, &wanted.value) {
            finding.quote(plugin.item, plugin.line);
        }
        if wanted.value != "overlayfs" {
            let overlay = read.plugins.snapshotter(&config.node, "overlayfs").any(|one| one.status == PluginStatus::Ok);
            let misspelt = ["overlay", "overlay2", "overlayfs"].contains(&wanted.value.trim().to_lowercase().as_str());
            let fix = if misspelt || overlay { Fix::safe("use overlayfs") } else { Fix::review("use overlayfs") };
            finding.fix(fix.edit(config.item, span, "overlayfs").restart("containerd"));
        } else {
            finding.fix(Fix::manual("take the snapshotter out of disabled_plugins").step("systemctl restart containerd"));
        }
    }
    for message in read.failing(&["snapshotter"]) {
        let named = NAMED.as_ref().and_then(|form| form.captures(&message.text)).map(|found| found[1].to_owned());
        let Some(name) = named.filter(|name| name != "overlayfs") else { continue };
        if seen.iter().any(|node| same_node(node, &message.node)) {
            continue;
        }
        seen.push(&message.node);
        let place = cri::machine(&message.node, "/etc/containerd/config.toml snapshotter");
        let finding = findings.proven(place, format!("containerd has no working snapshotter {name}, which its configuration asks for"));
        finding.message(message).weigh(1);
        cri::explain(finding, evidence, &message.node);
        let fix = Fix::manual("use overlayfs").step("edit /etc/containerd/config.toml: snapshotter = \"overlayfs\"");
        finding.fix(fix.step("systemctl restart containerd"));
    }
}

/// Why a snapshotter cannot be used, if it can't.
fn why(evidence: &Evidence, config: &ContainerdConfig, name: &str) -> Option<String> {
    let read = evidence.read();
    let node = &config.node;
    let said = cri::said(evidence, node, &format!("failed to find snapshotter \"{name}\""));
    let mut states = read.plugins.snapshotter(node, name).filter(|plugin| plugin.status != PluginStatus::Ok);
    let trouble = said || cri::symptoms(evidence, node).next().is_some();
    let off = config.disabled_plugins().iter().any(|plugin| plugin.value.ends_with(&format!(".{name}")));
    if off && trouble {
        return Some("which disabled_plugins switches off".to_owned());
    }
    if name == "overlayfs" {
        // Built in everywhere: when it fails, that has causes of its own.
        return None;
    }
    if let Some(state) = states.next() {
        let word = if state.status == PluginStatus::Skip { "is skipped" } else { "failed" };
        let root = config.root();
        return Some(match read.facts.mount_of(node, &root) {
            Some(mount) => format!("which {word} here: `{root}` lies on {}", mount.value.kind),
            None => format!("which {word} on this machine"),
        });
    }
    let proxies = config.parsed().map(|toml| toml.keys(&["proxy_plugins"])).unwrap_or_default();
    let known = BUILT_IN.contains(&name) || proxies.iter().any(|proxy| proxy.value == name);
    let misspelt = !known && (name != name.trim() || ["overlay", "overlay2"].contains(&name.to_lowercase().trim()));
    if said || (!known && trouble) || misspelt {
        return Some("which this containerd does not have".to_owned());
    }
    None
}
