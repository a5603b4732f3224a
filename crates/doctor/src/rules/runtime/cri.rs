//! What the rules about a missing CRI share: the messages of those who miss it, and what speaks against some causes.

use std::sync::LazyLock;

use regex::Regex;

use crate::evidence::Evidence;
use crate::finding::{Finding, Place};
use crate::read::{Message, Speaker, same_node};

/// Which generation of the CRI was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// `runtime.v1`.
    V1,
    /// `runtime.v1alpha2`.
    V1Alpha2,
}

/// A program that found nobody to serve the CRI, on a socket that answers.
#[derive(Clone, Copy, Debug)]
pub struct Unserved<'a> {
    /// What it said.
    pub message: &'a Message,
    /// What it asked for.
    pub asked: Asked,
    /// Whether `crictl` asked, by itself or for `kubeadm`.
    pub by_crictl: bool,
}

/// Everybody who found no CRI where a socket answered.
pub fn unserved(evidence: &Evidence) -> impl Iterator<Item = Unserved<'_>> {
    evidence.read().failures().filter_map(|message| {
        let text = &message.text;
        let asked = if text.contains("unknown service runtime.v1alpha2") {
            Asked::V1Alpha2
        } else if text.contains("unknown service runtime.v1.") || is_unimplemented(text) {
            Asked::V1
        } else {
            return None;
        };
        let for_kubeadm = message.speaker == Speaker::Kubeadm
            && !text.contains("validate service connection: validate CRI")
            && (text.contains("output:") || text.starts_with("getting status of runtime"));
        let by_crictl = message.speaker == Speaker::Crictl || for_kubeadm;
        Some(Unserved { message, asked, by_crictl })
    })
}

fn is_unimplemented(text: &str) -> bool {
    text.contains("API is not implemented for endpoint") && text.contains("code = Unimplemented")
}

/// Words of those who miss the CRI, and of a containerd that fails.
const WORDS: [&str; 22] = [
    "unknown service runtime.v1",
    "CRI v1 ",
    "container runtime is down",
    "container runtime is not running",
    "from runtime service failed",
    "could not connect to the container runtime",
    "CRI runtime service",
    "getting status of runtime",
    "failed to create CRI service",
    "unable to load CRI",
    "failed to find snapshotter",
    "invalid plugin config",
    "invalid cri image config",
    "load required plugin",
    "containerd.sock",
    "containerd: ",
    "failed to load TOML",
    "failed to unmarshal TOML",
    "containerd.service",
    "container runtime status check may not have completed",
    "connect endpoint",
    "containerd container runtime",
];

/// Messages on a node that may be consequences of a CRI plugin that does not run, or of a containerd that does not.
pub fn symptoms<'a>(evidence: &'a Evidence, node: &'a str) -> impl Iterator<Item = &'a Message> {
    evidence.read().failures().filter(move |message| same_node(&message.node, node) && is_symptom(message))
}

fn is_symptom(message: &Message) -> bool {
    let plugin = message.fields.iter().any(|(key, value)| {
        key == "id" && (value.starts_with("io.containerd.cri.v1") || value == "io.containerd.grpc.v1.cri")
    });
    // A row of containerd's table of plugins.
    let row = message.text.starts_with("io.containerd.") && message.text.ends_with("error");
    let row = row && (message.text.contains(" cri ") || message.text.starts_with("io.containerd.cri.v1"));
    plugin
        || row
        || message.text.contains("io.containerd.grpc.v1.cri")
        || WORDS.iter().any(|words| message.text.contains(words))
}

/// Lets a finding explain all symptoms of its node.
pub fn explain(finding: &mut Finding, evidence: &Evidence, node: &str) {
    for message in symptoms(evidence, node) {
        finding.message(message);
    }
}

/// Quotes and explains what containerd said of its CRI plugin.
pub fn quote_errors(finding: &mut Finding, evidence: &Evidence, node: &str, words: &str) {
    for plugin in evidence.read().plugins.cri_errors(node).filter(|plugin| plugin.error.contains(words)) {
        finding.quote(plugin.item, plugin.line);
    }
}

/// Whether containerd gives these words as the reason for a failed CRI plugin, or for not starting, on a node.
pub fn said(evidence: &Evidence, node: &str, words: &str) -> bool {
    let plugins = evidence.read().plugins.cri_errors(node).any(|plugin| plugin.error.contains(words));
    plugins || evidence.read().failing(&[words]).any(|message| same_node(&message.node, node))
}

/// Something of a node that is no file of the evidence.
pub fn machine(node: &str, what: impl Into<String>) -> Place {
    Place::Machine { node: node.to_owned(), what: what.into() }
}

static SOCKET: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"(?:unix:/{0,2})?(/[^\s"'\\:]*\.sock)\b"#).ok());

/// The first socket that a text names.
pub fn socket(text: &str) -> Option<&str> {
    let path = SOCKET.as_ref()?.captures(text)?.get(1)?.as_str();
    let slashes = path.len() - path.trim_start_matches('/').len();
    path.get(slashes.saturating_sub(1)..)
}

/// Nodes that anything was said of, or the empty name when none is told.
pub fn nodes(evidence: &Evidence) -> Vec<String> {
    let read = evidence.read();
    let mut nodes: Vec<String> = read.configs.iter().map(|config| config.node.clone()).collect();
    nodes.extend(evidence.items().iter().filter_map(|item| item.origin.node().map(str::to_owned)));
    nodes.sort();
    nodes.dedup();
    nodes.retain(|node| !node.is_empty());
    // Nodes that only the API tells of.
    for message in read.failures().filter(|message| !message.node.is_empty()) {
        let known = nodes.iter().any(|node| same_node(node, &message.node));
        if !known && (is_symptom(message) || super::cni::misses_network(message)) {
            nodes.push(message.node.clone());
        }
    }
    if nodes.is_empty() {
        nodes.push(String::new());
    }
    nodes
}
