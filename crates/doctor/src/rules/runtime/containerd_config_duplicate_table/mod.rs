//! A table or key stands twice in config.toml, so containerd does not start.

use super::config_file::{self, Refusal};
use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::same_node;
use crate::rule::{Findings, Rule};
use crate::text::Position;

pub const RULE: Rule = Rule {
    code: "SM0216",
    key: "containerd-config-duplicate-table",
    title: "table or key that stands twice",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut seen: Vec<&str> = Vec::new();
    for config in &evidence.read().configs {
        let text = &evidence.items()[config.item].text;
        if config_file::is_template(config, text) || config.toml.is_ok() {
            continue;
        }
        let Some(twice) = config_file::duplicate(text) else { continue };
        seen.push(&config.node);
        let second = Position::of(text, twice.second.start).line;
        let first = Position::of(text, twice.first.start).line;
        let cause = format!("`{}` has {} twice, in line {first} and in line {second}", config.path, twice.name);
        let finding = findings.proven(Place::Text { item: config.item, span: twice.second.clone() }, cause);
        finding.weigh(2).quote(config.item, first).quote(config.item, second);
        cri::explain(finding, evidence, &config.node);
        for message in config_file::refusals(evidence).filter(|message| same_node(&message.node, &config.node)) {
            finding.message(message);
        }
        let content = |block: &std::ops::Range<usize>| {
            let lines = text.get(block.clone()).unwrap_or_default().lines();
            lines.skip(1).map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let (one, other) = (content(&twice.first_block), content(&twice.second_block));
        let adds_nothing = twice.is_table && other.iter().all(|line| one.contains(line));
        let fix = if adds_nothing { Fix::safe("delete the second one") } else { Fix::review("delete the second one") };
        finding.fix(fix.edit(config.item, twice.second_block, "").restart("containerd"));
        let fix = Fix::manual("or keep the second one's values: put them into the first and delete the second");
        finding.fix(fix.step("systemctl restart containerd"));
    }
    for message in config_file::refusals(evidence) {
        if config_file::refusal(&message.text) != Refusal::Duplicate || seen.iter().any(|node| same_node(node, &message.node)) {
            continue;
        }
        seen.push(&message.node);
        let path = config_file::path_of(&message.text);
        let position = config_file::position(&message.text);
        let what = position.map_or_else(|| path.to_owned(), |(line, column)| format!("{path} line {line} column {column}"));
        let finding = findings.proven(cri::machine(&message.node, what), format!("a table or key stands twice in `{path}`"));
        finding.message(message).weigh(1);
        cri::explain(finding, evidence, &message.node);
        let fix = Fix::manual("delete one of the two and restart containerd")
            .step(format!("grep -n '^ *\\[' {path} | sort -t: -k2 | uniq -D -f1"))
            .step("systemctl restart containerd");
        finding.fix(fix);
    }
}
