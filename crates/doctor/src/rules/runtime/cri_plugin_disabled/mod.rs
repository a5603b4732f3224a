//! `disabled_plugins` holds the CRI plugin.

use std::ops::Range;

use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Place, Severity};
use crate::read::same_node;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0202",
    key: "cri-plugin-disabled",
    title: "CRI plugin switched off",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const NAMES: [&str; 4] =
    ["cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for config in &read.configs {
        let all = config.disabled_plugins();
        if let Some(plugin) = all.iter().find(|plugin| NAMES.contains(&plugin.value.as_str())) {
            let cause = format!("`{}` switches containerd's CRI plugin off: disabled_plugins holds \"{}\"", config.path, plugin.value);
            let text = &evidence.items()[config.item].text;
            let finding = findings.proven(Place::Text { item: config.item, span: plugin.span.clone() }, cause);
            finding.weigh(1);
            judge(evidence, finding, &config.node);
            if config.version() >= 2 && plugin.value == "cri" {
                finding.note("in a file of version 2 the short name does not only switch it off: containerd refuses to start");
            }
            let mut fix = Fix::safe("take the CRI plugin out of disabled_plugins").restart("containerd");
            let spans: Vec<_> = all.iter().map(|one| one.span.clone()).collect();
            for (number, plugin) in all.iter().enumerate() {
                if NAMES.contains(&plugin.value.as_str()) {
                    fix = fix.edit(config.item, with_comma(text, &spans, number), "");
                }
            }
            finding.fix(fix);
        }
    }
    for node in cri::nodes(evidence) {
        if !read.configs.iter().any(|config| same_node(&config.node, &node)) {
            without_file(evidence, findings, &node);
        }
    }
}

/// A line of the file, or a plugin table without the plugin.
fn without_file(evidence: &Evidence, findings: &mut Findings<'_>, node: &str) {
    let read = evidence.read();
    let line = read.facts.setting(node, "disabled_plugins").find(|setting| setting.value.value.contains("cri"));
    if let Some(line) = line {
        let place = cri::machine(node, "/etc/containerd/config.toml disabled_plugins");
        let finding = findings.proven(place, format!("containerd's CRI plugin is switched off: disabled_plugins = {}", line.value.value));
        finding.quote(line.item, line.line).weigh(1);
        judge(evidence, finding, node);
        finding.fix(manual());
        return;
    }
    let absent = read.plugins.tables.iter().find(|(item, of)| same_node(of, node) && lacks_cri(evidence, *item));
    if let Some((item, _)) = absent
        && cri::symptoms(evidence, node).next().is_some()
    {
        let place = cri::machine(node, "/etc/containerd/config.toml disabled_plugins");
        let finding = findings.likely(place, "containerd's list of plugins has no CRI plugin, not even one that failed: it is switched off");
        finding.quote(*item, 1);
        judge(evidence, finding, node);
        finding.fix(manual());
    }
}

/// Whether a table shows containerd's services but no CRI plugin.
fn lacks_cri(evidence: &Evidence, item: usize) -> bool {
    let rows = || evidence.read().plugins.mentions.iter().filter(move |plugin| plugin.item == item);
    let services = rows().filter(|plugin| plugin.kind == "io.containerd.grpc.v1").count();
    services >= 3 && !rows().any(crate::read::plugins::Plugin::is_cri)
}

/// How bad it is: nothing is wrong on a node that runs its pods by Docker.
fn judge(evidence: &Evidence, finding: &mut Finding, node: &str) {
    cri::explain(finding, evidence, node);
    if !finding.explains.is_empty() {
        return;
    }
    let read = evidence.read();
    let by_docker = read.version(node, "docker").is_some() || read.version(node, "cri-dockerd").is_some();
    let works = read.ready(node) == Some(true) || read.plugins.cri_works(node);
    finding.severity(if by_docker || works { Severity::Note } else { Severity::Warning });
}

fn manual() -> Fix {
    Fix::manual("take the CRI plugin out of disabled_plugins and restart containerd")
        .step("edit /etc/containerd/config.toml: disabled_plugins = []")
        .step("systemctl restart containerd")
}

/// The bytes of an array's element with the comma and the blanks that belong to it.
fn with_comma(text: &str, spans: &[Range<usize>], number: usize) -> Range<usize> {
    match (spans.get(number), spans.get(number + 1), number.checked_sub(1).and_then(|before| spans.get(before))) {
        (Some(this), Some(next), _) => this.start..next.start,
        (Some(this), None, Some(before)) => before.end..this.end,
        (Some(this), None, None) => {
            let rest = text.get(this.end..).unwrap_or_default();
            let comma = rest.len() - rest.trim_start_matches([' ', ',']).len();
            this.start..this.end + comma
        }
        (None, ..) => 0..0,
    }
}
