//! Registry settings under a name that this containerd does not know, and so ignores without a word.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::registry::{Misplaced, is_plain_http, is_tool, is_unknown_authority, misplaced_tables};
use crate::read::{Pull, pulls, same_node};
use crate::rule::{Findings, Rule};
use crate::text::visible;

pub const RULE: Rule = Rule {
    code: "SM0114",
    key: "config-table-name-wrong",
    title: "registry settings under a name that containerd ignores",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for config in &read.configs {
        let version = read.version(&config.node, "containerd").map(|version| version.number.0);
        for Misplaced { key, wanted, sure } in misplaced_tables(config, version) {
            let text = &evidence.items()[config.item].text;
            let place = Place::Text { item: config.item, span: key.from_difference(text, &wanted) };
            let cause = format!("registry settings stand under \"{}\", where this containerd looks for \"{wanted}\"", visible(&key.value));
            let finding = if sure { findings.proven(place, cause) } else { findings.likely(place, cause) };
            let here = |pull: &&Pull| same_node(&pull.node, &config.node) && !is_tool(pull.speaker);
            let told = |pull: &&Pull| is_plain_http(pull) || is_unknown_authority(&pull.text);
            let pulls: Vec<&Pull> = read.pulls.iter().filter(here).filter(told).collect();
            pulls::explain(finding, &read.messages, &pulls);
            let fix = if crate::near::nearest(&key.value, [wanted.as_str()]).is_some() || key.value.trim() == wanted {
                Fix::safe(format!("write `{wanted}`"))
            } else {
                Fix::review(format!("write `{wanted}`"))
            };
            let fix = replace_all(fix, text, config.item, &key.value, &wanted, &key.span);
            finding.weigh(2).fix(fix.restart("containerd"));
        }
    }
}

/// The name may stand in several headers; all are changed.
fn replace_all(mut fix: Fix, text: &str, item: usize, name: &str, wanted: &str, first: &std::ops::Range<usize>) -> Fix {
    let raw = text.get(first.clone()).unwrap_or_default();
    let quoted = raw.starts_with(['"', '\'']);
    let new = if quoted { format!("\"{wanted}\"") } else { wanted.to_owned() };
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let header = line.trim_start().starts_with('[') && !raw.is_empty();
        let within = first.start >= offset && first.end <= offset + line.len();
        if within && !header {
            fix = fix.edit(item, first.clone(), new.clone());
        } else if header {
            let part = |one: &(usize, &str)| {
                let before = line[..one.0].chars().next_back();
                let after = line[one.0 + raw.len()..].chars().next();
                name.len() + 2 == raw.len() || (matches!(before, Some('[' | '.')) && matches!(after, Some(']' | '.')))
            };
            if let Some((at, _)) = line.match_indices(raw).find(part) {
                fix = fix.edit(item, offset + at..offset + at + raw.len(), new.clone());
            }
        }
        offset += line.len();
    }
    fix
}
