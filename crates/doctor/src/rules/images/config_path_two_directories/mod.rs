//! `config_path` with two directories: containerd 2.2.0 then does not use `_default`.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::registry::is_tool;
use crate::read::{Pull, pulls, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0115",
    key: "config-path-two-directories",
    title: "two directories in config_path, and _default is not used",
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
        let Some(default) = settings.directories.iter().find(|one| one.name == "_default") else { continue };
        let version = read.version(&config.node, "containerd");
        let text = &evidence.items()[config.item].text;
        let place = Place::Text { item: config.item, span: value.part(text, colon, usize::MAX) };
        let own = |pull: &Pull| settings.directories.iter().any(|one| one.name == pull.registry());
        let pulls = read.pulls.iter().filter(|pull| same_node(&pull.node, &config.node) && !is_tool(pull.speaker));
        let pulls: Vec<&Pull> = pulls.filter(|pull| !own(pull)).collect();
        let cause = format!("`config_path` lists two directories, and `{}/_default` may not be used then", default.root);
        let finding = match version.map(|version| version.text.as_str()) {
            Some(text) if text.starts_with("2.2.0") => findings.proven(place, cause),
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
