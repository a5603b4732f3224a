//! A CNI plugin is not in the directory where the runtime looks for it.

use std::sync::LazyLock;

use regex::Regex;

use super::cni::{self, Directory};
use super::{config_file, cri};
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Place, Severity};
use crate::read::containerd::RUNTIME_PLUGINS;
use crate::read::{Message, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0233",
    key: "cni-plugin-binary-missing",
    title: "CNI plugin that is not where the runtime looks",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static MISSING: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"failed to find plugin "([^"]+)" in path \[([^\]]*)\]"#).ok());

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut groups: Vec<(&str, String, Vec<String>, Vec<&Message>)> = Vec::new();
    for message in read.failures() {
        let Some(found) = MISSING.as_ref().and_then(|form| form.captures(&message.text)) else { continue };
        let (plugin, path) = (found[1].to_owned(), found[2].trim().to_owned());
        match groups.iter_mut().find(|(node, other, ..)| *node == message.node && *other == path) {
            Some((_, _, plugins, messages)) => {
                if !plugins.contains(&plugin) {
                    plugins.push(plugin);
                }
                messages.push(message);
            }
            None => groups.push((&message.node, path, vec![plugin], vec![message])),
        }
    }
    for (node, path, plugins, messages) in groups {
        report(evidence, findings, node, &path, &plugins, &messages);
    }
}

fn report(evidence: &Evidence, findings: &mut Findings<'_>, node: &str, path: &str, plugins: &[String], messages: &[&Message]) {
    let read = evidence.read();
    let directory = path.split([' ', ':']).next().unwrap_or(path);
    let plugin = plugins.first().map(String::as_str).unwrap_or_default();
    let other = read.facts.listings.iter().find(|one| {
        one.value.directory != directory.trim_end_matches('/') && same_node(&one.node, node) && one.value.entry(plugin).is_some()
    });
    let config = read.configs.iter().filter(|config| same_node(&config.node, node)).find_map(|config| {
        let set = config.cri_string(&RUNTIME_PLUGINS, &["cni", "bin_dir"]);
        let set = set.or_else(|| RUNTIME_PLUGINS.iter().find_map(|name| config.strings(&["plugins", name, "cni", "bin_dirs"]).into_iter().next()));
        set.filter(|set| set.value.trim_end_matches('/') == directory.trim_end_matches('/')).map(|set| (config, set))
    });
    let names = plugins.join(", ");
    let wrong_directory = other.is_some() || read.facts.is_absent(node, directory);
    let finding = match config {
        Some((config, set)) if wrong_directory || !usual(directory) => {
            let span = config_file::inside(&evidence.items()[config.item].text, &set.span);
            let cause = match other {
                Some(other) => format!("`{}` has {directory} as directory of CNI plugins; {plugin} lies in {}", config.path, other.value.directory),
                None => format!("`{}` has {directory} as directory of CNI plugins, where {names} is not", config.path),
            };
            let finding = findings.proven(Place::Text { item: config.item, span: span.clone() }, cause);
            if let Some(other) = other {
                let fix = Fix::safe(format!("look in {}", other.value.directory));
                finding.fix(fix.edit(config.item, span, other.value.directory.as_str()).restart("containerd"));
            }
            finding
        }
        _ => {
            let place = cri::machine(node, format!("{}/{plugin}", directory.trim_end_matches('/')));
            let cause = match other {
                Some(other) => format!("the CNI plugin {plugin} lies in {}, and the runtime looks in {directory}", other.value.directory),
                None => format!("the CNI plugin {names} is not in {directory}"),
            };
            findings.proven(place, cause)
        }
    };
    finding.weigh(1);
    if let Some(other) = other {
        finding.quote(other.item, other.line);
    }
    for message in messages {
        finding.message(message);
    }
    leftover(evidence, finding, node, plugin);
    let fix = Fix::manual("put the plugin where the runtime looks, or delete the configuration that asks for it")
        .step(format!("ls {directory}; ls /etc/cni/net.d   # the first file in the alphabet is used"))
        .step("bridge, loopback, host-local, portmap: install the package of CNI plugins (kubernetes-cni, containernetworking-plugins)")
        .step("calico, cilium, flannel: see whether that network's pod runs on this node; delete its file in /etc/cni/net.d if it was removed");
    finding.fix(fix);
}

fn usual(directory: &str) -> bool {
    directory.trim_end_matches('/') == "/opt/cni/bin"
}

/// A configuration of another network that stands first.
fn leftover(evidence: &Evidence, finding: &mut Finding, node: &str, plugin: &str) {
    let Directory::Filled(listing) = cni::directory(evidence, node) else { return };
    let mut files = cni::files(&listing.value);
    files.sort_unstable();
    if files.len() > 1 {
        finding.quote(listing.item, listing.line);
        finding.note(format!("{} is the first of {} files in {} and is the one in use; it asks for {plugin}", files[0], files.len(), listing.value.directory));
    }
}
