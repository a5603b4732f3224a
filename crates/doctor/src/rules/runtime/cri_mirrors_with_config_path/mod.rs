//! `config_path` and `registry.mirrors` (or `configs.….tls`) stand together; the CRI plugin refuses that.

use std::ops::Range;

use super::{config_file, cri};
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::containerd::IMAGE_PLUGINS;
use crate::read::{ContainerdConfig, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0204",
    key: "cri-mirrors-with-config-path",
    title: "config_path together with the old registry tables",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const WORDS: &str = "cannot be set when `config_path` is provided";

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut seen: Vec<&str> = Vec::new();
    for config in &evidence.read().configs {
        let text = &evidence.items()[config.item].text;
        let Some((header, table)) = old_table(config, text) else { continue };
        let said = cri::said(evidence, &config.node, WORDS);
        let version = evidence.read().version(&config.node, "containerd").map(|version| version.number);
        let injected = version.is_some_and(|number| number >= (2, 2)) && config.version() <= 2;
        let cause = if let Some(path) = config.config_path() {
            format!("`{}` sets config_path = \"{}\" and registry.{table} as well", config.path, path.value)
        } else if injected && (said || cri::symptoms(evidence, &config.node).next().is_some()) {
            format!("containerd 2.2 adds its default config_path to this file of version {}, which has registry.{table}", config.version())
        } else if said {
            format!("`{}` sets registry.{table} while config_path is set elsewhere", config.path)
        } else {
            continue;
        };
        seen.push(&config.node);
        let finding = findings.proven(Place::Text { item: config.item, span: header }, cause);
        finding.weigh(1);
        cri::explain(finding, evidence, &config.node);
        cri::quote_errors(finding, evidence, &config.node, WORDS);
        finding.fix(fix());
    }
    let errors = evidence.read().plugins.mentions.iter().filter(|plugin| plugin.error.contains(WORDS));
    for error in errors {
        if seen.iter().any(|node| same_node(node, &error.node)) {
            continue;
        }
        seen.push(&error.node);
        let place = cri::machine(&error.node, "/etc/containerd/config.toml registry");
        let finding = findings.proven(place, "config_path is set together with the old registry tables, and the CRI plugin refuses both");
        finding.quote(error.item, error.line).weigh(1);
        cri::explain(finding, evidence, &error.node);
        finding.fix(fix());
    }
    for message in evidence.read().failing(&[WORDS]) {
        if !seen.iter().any(|node| same_node(node, &message.node)) {
            seen.push(&message.node);
            let place = cri::machine(&message.node, "/etc/containerd/config.toml registry");
            let finding = findings.proven(place, "config_path is set together with the old registry tables, and the CRI plugin refuses both");
            finding.message(message).weigh(1);
            cri::explain(finding, evidence, &message.node);
            finding.fix(fix());
        }
    }
}

/// The first header of the old tables, and the tables' name, if they hold anything that config_path forbids.
fn old_table(config: &ContainerdConfig, text: &str) -> Option<(Range<usize>, &'static str)> {
    let mirrors = !config.cri_keys(&IMAGE_PLUGINS, &["registry", "mirrors"]).is_empty();
    let configs = config.cri_keys(&IMAGE_PLUGINS, &["registry", "configs"]);
    let tls = configs.iter().any(|key| !config.cri_keys(&IMAGE_PLUGINS, &["registry", "configs", &key.value, "tls"]).is_empty());
    let table = match (mirrors, tls) {
        (true, _) => "mirrors",
        (false, true) => "configs",
        (false, false) => return None,
    };
    let headers = config_file::headers(text);
    let holds = |header: &config_file::Header| {
        let at = header.keys.iter().position(|key| key == "registry");
        at.is_some_and(|at| header.keys.get(at + 1).is_some_and(|key| key == table))
    };
    let found = headers.iter().find(|header| holds(header)).map(|header| header.span.clone());
    let key = || config.cri_keys(&IMAGE_PLUGINS, &["registry", table]).first().map(|key| key.span.clone());
    Some((found.or_else(key)?, table))
}

fn fix() -> Fix {
    Fix::manual("keep only hosts.toml files: move what the old tables say, delete them, and set config_path")
        .step("for each mirror: mkdir -p /etc/containerd/certs.d/HOST:PORT, and write its endpoints as [host.\"URL\"] tables into hosts.toml there")
        .step("delete the registry.mirrors and registry.configs tables; set config_path = \"/etc/containerd/certs.d\"")
        .step("systemctl restart containerd")
}
