//! The file is written for another generation of containerd than its version line or the installed containerd says.

use std::ops::Range;

use super::config_file::{self, Refusal};
use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Place, Severity};
use crate::read::{ContainerdConfig, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0218",
    key: "containerd-config-version-mismatch",
    title: "config.toml for another generation of containerd",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const NEW: &str = "io.containerd.cri.v1.";

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut seen: Vec<&str> = Vec::new();
    for config in &read.configs {
        let Some((span, cause, fix)) = mismatch(evidence, config) else { continue };
        seen.push(&config.node);
        let finding = findings.proven(Place::Text { item: config.item, span }, cause);
        // A version that the whole file has wrong stands above any single table of it.
        finding.weigh(if config.version() >= 3 { 3 } else { 1 });
        if let Some(version) = read.version(&config.node, "containerd") {
            finding.quote(version.item, version.line);
        }
        explain(finding, evidence, &config.node);
        finding.fix(fix);
        finding.fix(generate());
    }
    for message in config_file::refusals(evidence) {
        if config_file::refusal(&message.text) != Refusal::Version
            || message.text.contains("disabled plugin URI \"cri\"")
            || message.text.contains("deprecated")
            || seen.iter().any(|node| same_node(node, &message.node))
        {
            continue;
        }
        seen.push(&message.node);
        let path = config_file::path_of(&message.text);
        let key = message.quoted_after("plugin key URI");
        let cause = match key {
            Some(key) => format!("`{path}` says version 2 but names the plugin {key} as version 1 does"),
            None => format!("`{path}` is written for another version of containerd"),
        };
        let finding = findings.proven(cri::machine(&message.node, path), cause);
        finding.message(message).weigh(1);
        explain(finding, evidence, &message.node);
        finding.fix(generate());
    }
}

/// The place, the cause and the remedy, if the file does not fit.
fn mismatch(evidence: &Evidence, config: &ContainerdConfig) -> Option<(Range<usize>, String, Fix)> {
    let toml = config.parsed()?;
    let plugins = toml.keys(&["plugins"]);
    let stated = toml.integer(&["version"]);
    let version = config.version();
    let installed = evidence.read().version(&config.node, "containerd");
    let (path, item) = (&config.path, config.item);
    if version >= 2
        && let Some(short) = plugins.iter().find(|plugin| !plugin.value.contains("io.containerd"))
    {
        let cause = format!("`{path}` says version = {version} but uses the table name plugins.{} of version 1", short.value);
        let fix = if short.value == "cri" && version == 2 {
            renamed(&evidence.items()[item].text, item)
        } else {
            Fix::manual("name the plugin by its URI").step("systemctl restart containerd")
        };
        return Some((short.span.clone(), cause, fix));
    }
    let old = installed.filter(|installed| installed.number < (2, 0));
    if let (Some(stated), Some(old)) = (&stated, old)
        && stated.value >= 3
    {
        let cause = format!("`{path}` is of version {}, which containerd {} does not know", stated.value, old.text);
        return Some((stated.span.clone(), cause, generate()));
    }
    let new = plugins.iter().find(|plugin| plugin.value.starts_with(NEW));
    if let (Some(new), Some(old)) = (new, old) {
        let cause = format!("`{path}` has the table {} of containerd 2.x, which containerd {} does not read", new.value, old.text);
        return Some((new.span.clone(), cause, generate()));
    }
    let tables = ["containerd", "cni", "registry"];
    let cri = "io.containerd.grpc.v1.cri";
    let filled = tables.iter().any(|table| !toml.keys(&["plugins", cri, table]).is_empty());
    let young = installed.is_some_and(|installed| installed.number >= (2, 0));
    if version >= 3 && young && filled {
        let key = plugins.iter().find(|plugin| plugin.value == cri)?;
        let cause = format!("`{path}` says version = 3 but has its CRI settings under {cri}, where version 3 does not look");
        return Some((key.span.clone(), cause, generate()));
    }
    if version == 1
        && !young
        && let Some(long) = plugins.iter().find(|plugin| plugin.value.starts_with("io.containerd.") && filled)
    {
        let cause = format!("`{path}` has no `version = 2`, so containerd reads it as version 1 and ignores {}", long.value);
        let span = stated.map_or(0..0, |stated| stated.span);
        let new = if span.is_empty() { "version = 2\n" } else { "2" };
        return Some((span.clone(), cause, Fix::safe("say version = 2").edit(item, span, new).restart("containerd")));
    }
    None
}

/// The short name of the CRI plugin in every header replaced by its URI.
fn renamed(text: &str, item: usize) -> Fix {
    let mut fix = Fix::review("name the CRI plugin by its URI").restart("containerd");
    for header in config_file::headers(text) {
        if header.keys.len() >= 2
            && header.keys[0] == "plugins"
            && header.keys[1] == "cri"
            && let Some(at) = text.get(header.span.clone()).and_then(|raw| raw.find("cri"))
        {
            let start = header.span.start + at;
            let quoted = text[..start].ends_with(['"', '\'']);
            let new = if quoted { "io.containerd.grpc.v1.cri" } else { "\"io.containerd.grpc.v1.cri\"" };
            fix = fix.edit(item, start..start + 3, new);
        }
    }
    fix
}

fn generate() -> Fix {
    Fix::manual("write the file anew for the installed containerd")
        .step("containerd --version")
        .step("containerd config default > /tmp/config.toml   # then carry your own settings over")
        .step("systemctl restart containerd")
}

fn explain(finding: &mut Finding, evidence: &Evidence, node: &str) {
    cri::explain(finding, evidence, node);
    for message in config_file::refusals(evidence).filter(|message| same_node(&message.node, node)) {
        finding.message(message);
    }
}
