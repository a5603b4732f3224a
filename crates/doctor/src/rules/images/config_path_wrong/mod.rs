//! `config_path` does not name the directory in which the registries' directories lie.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::registry::{Settings, is_plain_http, is_tool, is_unknown_authority};
use crate::read::toml::Spanned;
use crate::read::{ContainerdConfig, Pull, pulls, same_node};
use crate::rule::{Findings, Rule};
use crate::text::{is_invisible, visible};

pub const RULE: Rule = Rule {
    code: "SM0113",
    key: "config-path-wrong",
    title: "config_path names no directory of registries",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for config in read.configs.iter().filter(|config| config.toml.is_ok()) {
        let settings = read.registries(&config.node);
        match config.config_path() {
            Some(value) => {
                if let Some(wrong) = wrong(evidence, config, &settings, &value) {
                    report(evidence, findings, config, &value, wrong);
                }
            }
            None if settings.config_path().is_none() => unset(evidence, findings, config, &settings),
            None => {}
        }
    }
}

/// Why a value can't be right, and what it should be where that is known.
struct Wrong {
    cause: String,
    wanted: Option<String>,
}

fn wrong(evidence: &Evidence, config: &ContainerdConfig, settings: &Settings<'_>, value: &Spanned<String>) -> Option<Wrong> {
    let read = evidence.read();
    let shown = visible(&value.value);
    let stray = |one: char| one.is_whitespace() || is_invisible(one);
    let roots = settings.hosts.iter().map(|file| file.root()).filter(|root| root.starts_with('/'));
    let told = settings.directories.iter().map(|one| one.root.as_str());
    let wanted = roots.chain(told).next().map(str::to_owned);
    if value.value.contains(stray) {
        let wanted = Some(value.value.replace(stray, ""));
        return Some(Wrong { cause: format!("`config_path` is \"{shown}\", with a blank in it"), wanted });
    }
    let paths = config.directories();
    let bare = |path: &str| path.trim_end_matches('/').to_owned();
    if paths.iter().any(|path| settings.directories.iter().any(|one| bare(&one.root) == bare(path))) {
        return None;
    }
    if let Some(path) = paths.iter().find(|path| path.ends_with(".toml")) {
        return Some(Wrong { cause: format!("`config_path` names the file `{path}`, not a directory"), wanted });
    }
    if let Some(path) = paths.iter().find(|path| !path.starts_with('/') && !path.is_empty()) {
        return Some(Wrong { cause: format!("`config_path` names `{path}`, which is no whole path"), wanted });
    }
    if let Some(root) = wanted {
        return Some(Wrong { cause: format!("`config_path` is `{shown}`, but the registries' directories lie in `{root}`"), wanted: Some(root) });
    }
    if paths.iter().all(|path| read.facts.is_absent(&config.node, path)) {
        return Some(Wrong { cause: format!("`config_path` is `{shown}`, which does not exist"), wanted: None });
    }
    let [path] = paths.as_slice() else { return None };
    let (parent, name) = path.trim_end_matches('/').rsplit_once('/')?;
    let listing = read.facts.listing(&config.node, parent).filter(|listing| listing.value.entry(name).is_none())?;
    let near = crate::near::nearest(name, listing.value.entries.iter().map(|entry| entry.name.as_str()));
    let wanted = near.map(|near| format!("{parent}/{near}"));
    Some(Wrong { cause: format!("`config_path` is `{shown}`, which does not exist"), wanted })
}

fn report(evidence: &Evidence, findings: &mut Findings<'_>, config: &ContainerdConfig, value: &Spanned<String>, wrong: Wrong) {
    let text = &evidence.items()[config.item].text;
    let span = match &wrong.wanted {
        Some(wanted) => value.from_difference(text, wanted),
        None => value.inside(text),
    };
    let finding = findings.proven(Place::Text { item: config.item, span }, wrong.cause);
    explain(evidence, finding, config);
    let fix = match wrong.wanted {
        Some(wanted) => Fix::safe(format!("write `{wanted}`")).edit(config.item, value.inside(text), wanted).restart("containerd"),
        None => Fix::manual("name the directory of the registries' directories")
            .step("find / -name hosts.toml -not -path '/proc/*'")
            .step("systemctl restart containerd"),
    };
    finding.weigh(2).fix(fix);
}

/// Pulls that fail as they do when no `hosts.toml` is read.
fn explain(evidence: &Evidence, finding: &mut crate::finding::Finding, config: &ContainerdConfig) {
    let read = evidence.read();
    let here = |pull: &&Pull| same_node(&pull.node, &config.node) && !is_tool(pull.speaker);
    let settings = read.registries(&config.node);
    let has_own = |pull: &Pull| settings.directories.iter().any(|one| one.name == pull.registry() || one.name == "_default");
    let told = |pull: &&Pull| is_plain_http(pull) || is_unknown_authority(&pull.text) || has_own(pull);
    let pulls: Vec<&Pull> = read.pulls.iter().filter(here).filter(told).collect();
    pulls::explain(finding, &read.messages, &pulls);
}

/// There is a directory for the registry, but no `config_path` that leads to it.
fn unset(evidence: &Evidence, findings: &mut Findings<'_>, config: &ContainerdConfig, settings: &Settings<'_>) {
    let read = evidence.read();
    if settings.mirrors().next().is_some() || !config.path.ends_with("config.toml") || crate::read::registry::misplaced(config) {
        return;
    }
    let fails = |pull: &&Pull| {
        let named = settings.directories.iter().any(|one| one.name == pull.registry());
        let told = is_plain_http(pull) || is_unknown_authority(&pull.text);
        named && told && !is_tool(pull.speaker) && same_node(&pull.node, &config.node)
    };
    let pulls: Vec<&Pull> = read.pulls.iter().filter(fails).collect();
    let Some(root) = settings.directories.first().map(|one| one.root.clone()).filter(|_| !pulls.is_empty()) else { return };
    let text = &evidence.items()[config.item].text;
    let empty = config.cri_string(&crate::read::containerd::IMAGE_PLUGINS, &["registry", "config_path"]);
    let span = empty.as_ref().map_or(text.len()..text.len(), |value| value.inside(text));
    let finding = findings.proven(
        Place::Text { item: config.item, span: span.clone() },
        format!("`config_path` is not set, so the files in `{root}` are not read"),
    );
    pulls::explain(finding, &read.messages, &pulls);
    let fix = match empty {
        Some(_) => Fix::safe(format!("set it to `{root}`")).edit(config.item, span, root).restart("containerd"),
        None => Fix::manual("set `config_path` in the registry table of the CRI plugin")
            .step(format!("config_path = \"{root}\""))
            .step("systemctl restart containerd"),
    };
    finding.weigh(2).fix(fix);
}
