//! A field that the kind knows, but at another level: the indentation is wrong.

use std::sync::LazyLock;

use regex::Regex;

use super::places;
use super::structure::{self, Home, Problem, Wrong};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::Message;
use crate::read::manifest::{Document, Node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0501",
    key: "manifest-indentation",
    title: "field stands at the wrong level of a manifest",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut told = false;
    for file in &evidence.read().manifests {
        for document in &file.documents {
            for problem in structure::problems(document) {
                told |= of_problem(evidence, file.item, document, &problem, findings);
            }
        }
    }
    if !told {
        of_messages(evidence, findings);
    }
}

fn of_problem(
    evidence: &Evidence,
    item: usize,
    document: &Document,
    problem: &Problem<'_>,
    findings: &mut Findings<'_>,
) -> bool {
    let name = problem.key.text().unwrap_or_default();
    let (stands, field) = problem.path.rsplit_once('.').unwrap_or(("", &problem.path));
    let cause = match &problem.wrong {
        Wrong::Unknown(home) => {
            let Some(path) = home.path() else { return false };
            format!("`{field}` of {} stands in {}, but belongs into {}", places::named(document), level(stands), level(path))
        }
        Wrong::Shape { wanted } => {
            format!("`{}` of {} should be {wanted}", problem.path, places::named(document))
        }
        Wrong::Scalar(_) | Wrong::Missing => return false,
    };
    let finding = findings.proven(places::text(item, &problem.key.span), cause);
    for message in complaints(evidence).filter(|message| mentions(message, name)) {
        finding.message(message);
    }
    let text = &evidence.items()[item].text;
    let fix = match &problem.wrong {
        Wrong::Unknown(home) => moved(text, item, problem, home),
        _ => None,
    };
    finding.fix(fix.unwrap_or_else(|| {
        Fix::manual("put it at the level it belongs to").step(format!("kubectl explain {}.{stands}", document.top("kind").to_lowercase()))
    }));
    true
}

/// A level, for people.
fn level(path: &str) -> String {
    if path.is_empty() { "the object itself".to_owned() } else { format!("`{path}`") }
}

/// The block moved to where it belongs.
fn moved(text: &str, item: usize, problem: &Problem<'_>, home: &Home<'_>) -> Option<Fix> {
    let block = places::lines(text, problem.key, problem.value)?;
    let (column, behind) = match home {
        Home::Outer(_, map, entry) => (first_column(map)?, places::line_end(text, entry.span.end)),
        Home::Beside(_, key, value) if value.is_null() => (key.column + 2, places::line_end(text, key.span.end)),
        Home::Beside(_, _, value) => (first_column(value)?, places::line_end(text, value.span.end)),
        _ => return None,
    };
    let new = places::shifted(&text[block.clone()], problem.key.column, column)?;
    let path = home.path().unwrap_or_default();
    let title = format!("move `{}` into {}", problem.key.text().unwrap_or_default(), level(path));
    let fix = Fix::review(title);
    if behind == block.start || behind == block.end || block.contains(&behind) {
        return Some(fix.edit(item, block, new));
    }
    Some(fix.edit(item, block, "").edit(item, behind..behind, new))
}

fn first_column(map: &Node) -> Option<usize> {
    map.entries().first().map(|(key, _)| key.column)
}

static UNKNOWN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?:ValidationError\((?P<at>[^)]+)\): )?unknown field "(?P<name>[^"]+)"(?: in (?P<type>[\w.]+))?"#).ok()
});
static SHAPE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"ValidationError\((?P<at>[^)]+)\): invalid type for [\w.]+: got "(?P<got>map|array|string|null)", expected "(?P<want>map|array)"|unknown object type "nil" in (?P<nil>[^\s;"]+)|unmarshal (?P<g>object|array|string) into Go (?:struct field|value)(?: (?P<f>\S+))? of type (?P<t>\[\]\S+|map\S+|v1\.\w+)"#).ok()
});
static CALLED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?:cannot be handled as an? |\s)(?P<kind>[A-Z]\w+)(?: in version|:)").ok());

fn complaints(evidence: &Evidence) -> impl Iterator<Item = &Message> {
    evidence.read().failures().filter(|message| {
        let form = |form: &LazyLock<Option<Regex>>| form.as_ref().is_some_and(|form| form.is_match(&message.text));
        form(&UNKNOWN) || form(&SHAPE)
    })
}

fn mentions(message: &Message, name: &str) -> bool {
    message.text.contains(&format!("\"{name}\"")) || message.text.contains(&format!(".{name}\"")) || message.text.contains(name)
}

/// What the server or kubectl says, when the file is not at hand.
fn of_messages(evidence: &Evidence, findings: &mut Findings<'_>) {
    if evidence.read().manifests.iter().any(|file| !file.documents.is_empty()) {
        return;
    }
    for message in complaints(evidence) {
        if let Some(found) = UNKNOWN.as_ref().and_then(|form| form.captures(&message.text)) {
            let at = found.name("at").map(|at| at.as_str()).unwrap_or_default();
            let (kind, path) = at.split_once('.').unwrap_or((at, ""));
            let whole = &found["name"];
            let (inner, name) = whole.rsplit_once('.').unwrap_or(("", whole));
            let path = if path.is_empty() { inner } else { path };
            let called = CALLED.as_ref().and_then(|form| form.captures(&message.text)).map(|found| found["kind"].to_owned());
            let kind = if kind.is_empty() { called.unwrap_or_default() } else { kind.to_owned() };
            let home = structure::home_by_schema(&kind, path, name);
            let cause = match &home {
                Home::Misspelt(_) => continue,
                home => match home.path() {
                    Some(other) => format!("`{name}` stands in {}, but belongs into {}", level(path), level(other)),
                    None => format!("`{name}` does not belong into {}", level(path)),
                },
            };
            let finding = findings.likely(places::object(&kind, "", "", whole), cause);
            finding.message(message);
            finding.fix(Fix::manual("put it at the level it belongs to").step(format!("kubectl explain {}.{path}", kind.to_lowercase())));
        } else if let Some(found) = SHAPE.as_ref().and_then(|form| form.captures(&message.text)) {
            let at = ["at", "nil", "f"].iter().find_map(|name| found.name(name)).map(|at| at.as_str()).unwrap_or_default();
            let cause = format!("`{at}` has the wrong shape: a list, a mapping or nothing where another belongs");
            let kind = at.split('.').next().unwrap_or_default();
            let finding = findings.likely(places::object(kind, "", "", at), cause);
            finding.message(message);
            finding.fix(Fix::manual("correct the indentation of what stands below it").step("kubectl apply --dry-run=server -f FILE"));
        }
    }
}
