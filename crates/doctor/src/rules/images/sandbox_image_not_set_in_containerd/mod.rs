//! containerd's sandbox image points where this network cannot go; the kubelet's flag does not matter.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::containerd::{IMAGE_PLUGINS, RUNTIME_PLUGINS};
use crate::read::pulls::{explain, grouped};
use crate::read::reference::is_public;
use crate::read::toml::Spanned;
use crate::read::{Answer, ContainerdConfig, Pull, Reference, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0160",
    key: "sandbox-image-not-set-in-containerd",
    title: "sandbox image points where the node cannot go",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let blocked = read.pulls.iter().filter(|pull| {
        let how = matches!(
            pull.answer,
            Answer::Silent | Answer::Refused | Answer::Lookup | Answer::Absent | Answer::Denied | Answer::Other
        );
        pull.sandbox && how
    });
    for ((image, node), pulls) in grouped(blocked, |pull| (pull.image.clone(), pull.node.clone())) {
        let Some(first) = pulls.first() else { continue };
        let config = read.configs.iter().find(|config| same_node(&config.node, &node) && config.toml.is_ok());
        let written = config.and_then(|config| Some((config, setting(config)?)));
        let other = alternative(evidence, &image);
        let node = match config {
            Some(config) if node.is_empty() => config.node.clone(),
            _ => node,
        };
        let place = match (&written, config) {
            (Some((config, value)), _) => {
                Place::Text { item: config.item, span: value.span.start + 1..value.span.end.saturating_sub(1) }
            }
            (None, Some(config)) => Place::Text { item: config.item, span: 0..0 },
            _ => Place::Machine { node: node.clone(), what: "sandbox_image of containerd".to_owned() },
        };
        let cause = format!("containerd takes `{image}` for every pod's sandbox, and this node can't get it from there");
        let fits = written.as_ref().is_none_or(|(_, value)| value.value == image);
        let told = read.facts.setting(&node, "sandbox_image").any(|fact| fact.value.value == image);
        let known = (config.is_some() && fits) || told;
        let finding = if known && other.is_some() {
            findings.proven(place, cause)
        } else if known && first.answer != Answer::Lookup {
            findings.likely(place, cause)
        } else {
            question(findings.open(place, cause), first)
        };
        finding.weigh(3);
        explain(finding, &read.messages, &pulls);
        finding.note("the kubelet's --pod-infra-container-image has no effect on containerd");
        let target = other.unwrap_or_else(|| "REGISTRY/pause:TAG".to_owned());
        let fix = match &written {
            Some((config, value)) if !target.starts_with("REGISTRY") => Fix::review(format!("take `{target}`"))
                .edit(config.item, value.span.clone(), format!("\"{target}\""))
                .restart("containerd"),
            _ => Fix::manual("set the sandbox image to one that the node reaches, and restart containerd")
                .step(format!("sandbox_image = \"{target}\" # in /etc/containerd/config.toml")),
        };
        finding.fix(fix);
    }
}

fn question<'a>(finding: &'a mut crate::Finding, pull: &Pull) -> &'a mut crate::Finding {
    let others: &[&'static str] = match pull.answer {
        Answer::Lookup => &["node-dns-failure", "proxy-not-configured", "registry-unreachable"],
        Answer::Denied => &["registry-credentials-rejected", "registry-token-denied"],
        Answer::Absent => &["image-tag-not-found"],
        _ => &["proxy-not-configured", "registry-unreachable", "node-dns-failure"],
    };
    finding.or(others).needs(&[
        "sandbox_image in /etc/containerd/config.toml",
        "whether the node reaches the registry (curl)",
        "proxy environment of containerd (systemctl show containerd -p Environment)",
    ])
}

/// `sandbox_image`, or from containerd 2.0 on `pinned_images.sandbox`.
fn setting(config: &ContainerdConfig) -> Option<Spanned<String>> {
    let old = config.cri_string(&RUNTIME_PLUGINS, &["sandbox_image"]);
    old.or_else(|| config.cri_string(&IMAGE_PLUGINS, &["pinned_images", "sandbox"]))
}

/// A pause image that the node has or the kubelet names, from elsewhere than the one that fails.
fn alternative(evidence: &Evidence, image: &str) -> Option<String> {
    let failing = Reference::read(image)?;
    let elsewhere = |found: &str| {
        Reference::read(found).is_some_and(|other| other.registry != failing.registry && !is_public(&other.registry))
    };
    for item in evidence.items() {
        for line in item.text.lines() {
            if let Some((_, rest)) = line.split_once("--pod-infra-container-image=") {
                let named = rest.split([' ', '"', '\'']).next().unwrap_or_default();
                if elsewhere(named) {
                    return Some(named.to_owned());
                }
            }
            let mut words = line.split_whitespace();
            if let (Some(name), Some(tag)) = (words.next(), words.next())
                && name.ends_with("/pause")
                && elsewhere(name)
            {
                return Some(format!("{name}:{tag}"));
            }
        }
    }
    None
}
