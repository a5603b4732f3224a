//! containerd's configuration can't be read as TOML, so containerd does not start.

use std::ops::Range;

use super::config_file::{self, Refusal};
use super::cri;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::same_node;
use crate::read::toml::Refused;
use crate::rule::{Findings, Rule};
use crate::text::{Position, is_invisible};

pub const RULE: Rule = Rule {
    code: "SM0215",
    key: "containerd-config-syntax",
    title: "config.toml is no TOML",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut seen: Vec<&str> = Vec::new();
    for config in &evidence.read().configs {
        let text = &evidence.items()[config.item].text;
        let Err(refused) = &config.toml else { continue };
        if config_file::is_template(config, text) || is_others(text, refused) {
            continue;
        }
        seen.push(&config.node);
        let span = place(text, refused);
        let position = Position::of(text, span.start);
        let cause = format!("`{}` is no TOML: {} in line {}", config.path, words(&refused.message), position.line);
        let finding = findings.proven(Place::Text { item: config.item, span: span.clone() }, cause);
        finding.weigh(1);
        cri::explain(finding, evidence, &config.node);
        for message in config_file::refusals(evidence).filter(|message| same_node(&message.node, &config.node)) {
            finding.message(message);
        }
        if let Some(new) = quote(text, &span) {
            finding.fix(Fix::review("close the string").edit(config.item, span, new).restart("containerd"));
        }
        finding.fix(manual(&config.path, position.line));
    }
    for message in config_file::refusals(evidence).filter(|message| config_file::refusal(&message.text) == Refusal::Syntax) {
        if !message.text.contains("TOML") && !message.text.contains("toml: ") || seen.iter().any(|node| same_node(node, &message.node)) {
            continue;
        }
        seen.push(&message.node);
        let path = config_file::path_of(&message.text);
        let line = config_file::position(&message.text);
        let what = line.map_or_else(|| path.to_owned(), |(line, column)| format!("{path} line {line} column {column}"));
        let finding = findings.proven(cri::machine(&message.node, &what), format!("`{path}` is no TOML, so containerd does not start"));
        finding.message(message);
        cri::explain(finding, evidence, &message.node);
        finding.fix(manual(path, line.map_or(1, |(line, _)| line)));
    }
}

fn manual(path: &str, line: u32) -> Fix {
    Fix::manual("correct the line and restart containerd")
        .step(format!("sed -n {line}p {path} | cat -A"))
        .step("systemctl restart containerd")
}

/// Duplicates and characters that can't be seen have rules of their own.
fn is_others(text: &str, refused: &Refused) -> bool {
    let line = text.lines().nth(refused.position.line.saturating_sub(1) as usize).unwrap_or_default();
    refused.message.contains("duplicate")
        || config_file::duplicate(text).is_some()
        || line.trim_end_matches('\r').chars().any(|character| is_invisible(character) && character != '\t')
}

/// The reader's words in one line.
fn words(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The first wrong character, or the place where one is missing. Readers often see the fault only later.
fn place(text: &str, refused: &Refused) -> Range<usize> {
    let start = text.get(..refused.span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    let line = text.get(start..).unwrap_or_default().split('\n').next().unwrap_or_default();
    if let Some(at) = in_line(line) {
        return start + at..start + at;
    }
    // An array or a header that was left open above.
    let above = text.get(..start).unwrap_or_default().trim_end();
    let from = above.rfind('\n').map_or(0, |at| at + 1);
    let last = above.get(from..).unwrap_or_default();
    let opened = last.matches('[').count() > last.matches(']').count() && !last.trim_end().ends_with(['[', ',']);
    if opened && !last.trim_start().starts_with('#') {
        return above.len()..above.len();
    }
    refused.span.clone()
}

fn in_line(line: &str) -> Option<usize> {
    let end = line.trim_end().len();
    let trimmed = line.trim_start();
    if trimmed.starts_with('[') && !trimmed.contains(']') && !trimmed.contains('=') {
        return Some(end);
    }
    let (key, value) = line.split_once('=')?;
    let from = key.len() + 1 + (value.len() - value.trim_start().len());
    let value = line.get(from..end).unwrap_or_default();
    if value.matches('"').count() % 2 == 0 {
        return None;
    }
    let inner = value.trim_start_matches(['[', ' ']);
    if !inner.starts_with(['"', '\'']) {
        // The opening quote is missing.
        return Some(from + (value.len() - inner.len()));
    }
    Some(if value.ends_with(']') { end - 1 } else { end })
}

/// The quote that is missing at a place, if one is.
fn quote(text: &str, span: &Range<usize>) -> Option<&'static str> {
    let start = text.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(start..)?.split('\n').next()?;
    let odd = line.matches('"').count() % 2 == 1;
    (odd && span.is_empty() && in_line(line) == Some(span.start - start)).then_some("\"")
}
