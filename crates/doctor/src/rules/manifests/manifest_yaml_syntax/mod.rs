//! A manifest that is no YAML: a tab, a colon without quotes, a key that stands twice.

use std::sync::LazyLock;

use regex::Regex;

use super::places;
use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Fix, Place, Severity};
use crate::read::Message;
use crate::read::manifest::{Manifest, Node, Refused};
use crate::rule::{Findings, Rule};
use crate::text::Position;

pub const RULE: Rule = Rule {
    code: "SM0502",
    key: "manifest-yaml-syntax",
    title: "manifest is no YAML",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static LINE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?:error (?:parsing|reading) (?P<file>[^:]+): )?(?:YAML parse error on (?P<chart>[^:]+): )?(?:error converting YAML to JSON|error unmarshaling JSON|error parsing [^:]+): (?:error converting YAML to JSON: )?yaml: (?:unmarshal errors:)?(?:.*?line (?P<line>\d+): )?(?P<words>.*)").ok()
});

static TEMPLATE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"\{\{-?\s*(?:\.(?:Values|Chart|Release|Capabilities|Files|Template)\b|include\s+"|template\s+"|define\s+"|if\s|end\b|range\s|with\s|toYaml\s)[^}\n]*\}\}"#).ok()
});

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut told = false;
    for file in &evidence.read().manifests {
        if let Some(at) = template(&evidence.items()[file.item].text) {
            told = true;
            of_template(evidence, file, at, findings);
            continue;
        }
        for refused in &file.refused {
            told = true;
            of_refused(evidence, file, refused, findings);
        }
        for document in &file.documents {
            twice(&document.root, &mut |key| {
                told = true;
                let cause = format!("the key `{}` stands twice in one mapping of {}", key.text().unwrap_or_default(), file.file);
                let finding = findings.proven(places::text(file.item, &key.span), cause);
                for message in complaints(evidence).filter(|message| message.text.contains("already")) {
                    finding.message(message);
                }
                finding.fix(Fix::manual("delete one of the two"));
            });
        }
    }
    if told {
        return;
    }
    for message in complaints(evidence) {
        let found = LINE.as_ref().and_then(|form| form.captures(&message.text));
        let part = |name: &str| found.as_ref().and_then(|found| found.name(name)).map(|part| part.as_str().trim().to_owned());
        let file = part("file").or_else(|| part("chart")).unwrap_or_else(|| "the manifest".to_owned());
        let words = part("words").filter(|words| !words.is_empty()).unwrap_or_else(|| message.text.clone());
        let cause = match part("line") {
            Some(line) => format!("{file} is no YAML: line {line}: {words}"),
            None => format!("{file} is no YAML: {words}"),
        };
        let item = evidence.items().iter().position(|item| item.kind == ItemKind::Manifest);
        let place = item.map_or_else(|| places::object("", "", &file, ""), |item| at_line(evidence, item, part("line")));
        let finding = findings.proven(place, cause);
        finding.message(message);
        finding.fix(Fix::manual("correct that line: quotes around values with `: ` or `#`, blanks instead of tabs, one level of indentation for siblings")
            .step("the fault is often one line above the one that is named"));
    }
}

/// The first action of a template of Helm. Others use double braces as well, but not with these words.
fn template(text: &str) -> Option<std::ops::Range<usize>> {
    let found = TEMPLATE.as_ref()?.find(text)?;
    Some(found.range())
}

/// Whatever else is wrong with a template is not wrong with what it makes.
fn of_template(evidence: &Evidence, file: &Manifest, at: std::ops::Range<usize>, findings: &mut Findings<'_>) {
    let cause = format!("{} is a template of a Helm chart that was not rendered", file.file);
    let finding = findings.proven(Place::Text { item: file.item, span: at }, cause);
    finding.weigh(2);
    for message in complaints(evidence) {
        finding.message(message);
    }
    finding.fix(
        Fix::manual("render the chart, and look at what comes out")
            .step("helm template CHART | shipmate doctor manifests -")
            .step("helm template CHART | kubectl apply -f -"),
    );
}

fn at_line(evidence: &Evidence, item: usize, line: Option<String>) -> Place {
    let text = &evidence.items()[item].text;
    let line = line.and_then(|line| line.parse().ok()).unwrap_or(1);
    let start = Position { line, column: 1 }.offset(text);
    Place::Text { item, span: start..start }
}

fn complaints(evidence: &Evidence) -> impl Iterator<Item = &Message> {
    let words = ["error converting YAML to JSON", "YAML parse error on", "error parsing ", "mapping values are not allowed", "already set in map", "already defined at line"];
    let kubeconfig = |message: &Message| message.text.contains("kubeconfig") || message.text.contains("loading config file");
    evidence.read().failures().filter(move |message| {
        words.iter().any(|word| message.text.contains(word)) && message.text.contains("yaml") && !kubeconfig(message)
    })
}

fn of_refused(evidence: &Evidence, file: &Manifest, refused: &Refused, findings: &mut Findings<'_>) {
    let text = &evidence.items()[file.item].text;
    let position = Position::of(text, refused.span.start);
    let line = text.lines().nth(position.line.saturating_sub(1) as usize).unwrap_or_default();
    let wrong = text.get(refused.span.clone()).unwrap_or_default();
    let cause = if wrong == "\t" {
        format!("line {} of {} is indented with a tab", position.line, file.file)
    } else if line.contains("{{") {
        format!("line {} of {} holds a template that was not rendered", position.line, file.file)
    } else if refused.message.contains("mapping values") || wrong == ":" {
        format!("a value in line {} of {} has a colon and no quotes", position.line, file.file)
    } else {
        format!("line {} of {} is no YAML: {}", position.line, file.file, refused.message)
    };
    let finding = findings.proven(places::text(file.item, &refused.span), cause);
    for message in complaints(evidence) {
        finding.message(message);
    }
    let fix = match wrong {
        "\t" => Fix::review("put two blanks for the tab").edit(file.item, refused.span.clone(), "  "),
        _ if line.contains("{{") => Fix::manual("render the chart first").step("helm template CHART | kubectl apply -f -"),
        _ => quoted(text, file.item, refused).unwrap_or_else(|| Fix::manual("correct the line")),
    };
    finding.fix(fix);
}

/// Quotes around a value that has a colon.
fn quoted(text: &str, item: usize, refused: &Refused) -> Option<Fix> {
    let start = text.get(..refused.span.start)?.rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(start..)?.lines().next()?;
    let (_, value) = line.split_once(": ")?;
    let plain = value.trim();
    if text.get(refused.span.clone())? != ":" || plain.contains(['"', '\'', '\\', '#']) || plain.starts_with(['[', '{', '&', '*', '|', '>']) {
        return None;
    }
    let at = start + line.find(": ")? + 2 + (value.len() - value.trim_start().len());
    let end = at + plain.len();
    Some(Fix::review("put the value in quotes").edit(item, at..at, "\"").edit(item, end..end, "\""))
}

/// Keys that stand in one mapping for the second time.
fn twice(node: &Node, found: &mut dyn FnMut(&Node)) {
    let mut seen = std::collections::HashSet::new();
    for (key, value) in node.entries() {
        if let Some(text) = key.text()
            && !seen.insert(text)
        {
            found(key);
        }
        twice(value, found);
    }
    for item in node.items() {
        twice(item, found);
    }
}
