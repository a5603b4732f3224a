//! `config_path` with two directories: from containerd 2.1 on the transfer service takes them for the name of one.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::containerd::IMAGE_PLUGINS;
use crate::read::registry::is_tool;
use crate::read::{ContainerdConfig, Pull, pulls, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0115",
    key: "config-path-two-directories",
    title: "two directories in config_path, and neither is used",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for config in &read.configs {
        let Some(value) = config.config_path() else { continue };
        let Some(colon) = value.value.chars().position(|one| one == ':') else { continue };
        let settings = read.registries(&config.node);
        let version = read.version(&config.node, "containerd");
        let listed = |root: &str| value.value.split(':').any(|one| one.trim_end_matches('/') == root.trim_end_matches('/'));
        let by_transfer = version.is_some_and(|version| version.number >= (2, 1)) && !pulls_locally(&settings.configs);
        // Without the version it is a question only where something is for all registries.
        let mut entries = settings.directories.iter().filter(|one| listed(&one.root));
        let Some(default) = entries.find(|one| one.name == "_default" || by_transfer) else { continue };
        let text = &evidence.items()[config.item].text;
        let place = Place::Text { item: config.item, span: value.part(text, colon, usize::MAX) };
        let own = |pull: &Pull| !by_transfer && settings.directories.iter().any(|one| one.name == pull.registry());
        let pulls = read.pulls.iter().filter(|pull| same_node(&pull.node, &config.node) && !is_tool(pull.speaker));
        let pulls: Vec<&Pull> = pulls.filter(|pull| !own(pull)).collect();
        let lost = format!("{}/{}", default.root.trim_end_matches('/'), default.name);
        let may = if by_transfer { "is" } else { "may" };
        let not = if by_transfer { "not used then" } else { "not be used then" };
        let cause = format!("`config_path` lists two directories, and `{lost}` {may} {not}");
        let finding = match version {
            Some(_) if by_transfer => {
                let finding = findings.proven(place, cause);
                if pulls.is_empty() {
                    finding.severity(Severity::Note);
                }
                finding
            }
            Some(_) => continue,
            None => {
                let finding = findings.open(place, cause);
                finding.needs(&["containerd --version", "containerd journal: which host is contacted for a pull"]);
                if pulls.is_empty() {
                    finding.severity(Severity::Note);
                } else {
                    finding.or(&["registry-unreachable", "proxy-not-configured", "http-registry-not-declared"]);
                }
                finding
            }
        };
        pulls::explain(finding, &read.messages, &pulls);
        if let Some(version) = version {
            finding.quote(version.item, version.line);
        }
        let fix = Fix::review(format!("leave only `{}`", default.root))
            .edit(config.item, value.inside(text), default.root.clone())
            .restart("containerd");
        finding.weigh(1).fix(fix);
    }
}

/// Whether a setting is there with which containerd does not use its transfer service.
fn pulls_locally(configs: &[&ContainerdConfig]) -> bool {
    let flag = |name: &str| {
        let found = configs.iter().rev().find_map(|config| config.cri_boolean(&IMAGE_PLUGINS, &[name]));
        found.map(|found| found.value)
    };
    let downloads = configs.iter().rev().find_map(|config| {
        let toml = config.parsed()?;
        IMAGE_PLUGINS.iter().find_map(|plugin| toml.integer(&["plugins", plugin, "max_concurrent_downloads"]))
    });
    flag("use_local_image_pull") == Some(true)
        || flag("image_pull_with_sync_fs") == Some(true)
        || flag("discard_unpacked_layers") == Some(true)
        || flag("disable_snapshot_annotations") == Some(false)
        || downloads.is_some_and(|found| found.value != 3)
        || configs.iter().any(|config| !config.cri_keys(&IMAGE_PLUGINS, &["registry", "configs"]).is_empty())
}
