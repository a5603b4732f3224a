//! A workload of apps/v1 without spec.selector.

use std::sync::LazyLock;

use regex::Regex;

use super::{places, selectors};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::Message;
use crate::read::manifest::{Document, Node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0507",
    key: "selector-missing",
    title: "workload has no selector",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const KINDS: [&str; 4] = ["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"];

static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"(?:The )?(?P<kind>[A-Z]\w+)(?:\.\S+)? "(?P<name>[^"]+)" is invalid"#).ok());

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut told = false;
    for file in &evidence.read().manifests {
        for document in &file.documents {
            let selector = document.root.find("spec.selector").map(|(_, value)| value);
            let empty = selector.is_none_or(|node| node.is_null() || node.value().as_object().is_some_and(serde_json::Map::is_empty));
            if document.top("apiVersion") != "apps/v1" || !KINDS.contains(&document.top("kind")) || !empty || misplaced(document) {
                continue;
            }
            told = true;
            of_document(evidence, file.item, document, selector, findings);
        }
    }
    if told {
        return;
    }
    for message in complaints(evidence) {
        let found = NAMED.as_ref().and_then(|form| form.captures(&message.text));
        let (kind, name) = match &found {
            Some(found) => (found["kind"].to_owned(), found["name"].to_owned()),
            None => (KINDS.iter().find(|kind| message.text.contains(*kind)).map_or(String::new(), |kind| (*kind).to_owned()), String::new()),
        };
        let finding = findings.proven(places::object(&kind, "", &name, "spec.selector"), format!("the {kind} `{name}` has no `spec.selector`"));
        finding.message(message);
        for other in symptoms(evidence) {
            finding.message(other);
        }
        finding.fix(Fix::manual("add `spec.selector.matchLabels` with the labels of the template"));
    }
}

/// Whether a selector stands somewhere else in the document; that is another fault.
fn misplaced(document: &Document) -> bool {
    super::structure::problems(document).iter().any(|problem| {
        problem.key.text() == Some("selector") && matches!(problem.wrong, super::structure::Wrong::Unknown(_))
    })
}

fn of_document(
    evidence: &Evidence,
    item: usize,
    document: &Document,
    selector: Option<&Node>,
    findings: &mut Findings<'_>,
) {
    let Some((key, _)) = document.root.entry("spec") else { return };
    let finding = findings.proven(places::text(item, &key.span), format!("{} has no `spec.selector`", places::named(document)));
    for message in complaints(evidence).chain(symptoms(evidence)) {
        finding.message(message);
    }
    let text = &evidence.items()[item].text;
    let safe = Fix::safe("add the selector: the labels of the template");
    let fix = if selector.is_none() { selectors::added(text, item, document, safe) } else { None };
    finding.fix(fix.unwrap_or_else(|| Fix::manual("add `spec.selector.matchLabels`, and the same labels to the template")));
}

fn complaints(evidence: &Evidence) -> impl Iterator<Item = &Message> {
    evidence.read().failures().filter(|message| {
        message.text.contains("spec.selector: Required value") || message.text.contains("missing required field \"selector\"")
    })
}

/// What the server says besides.
fn symptoms(evidence: &Evidence) -> impl Iterator<Item = &Message> {
    evidence.read().failures().filter(|message| {
        let text = &message.text;
        text.contains("does not match template `labels`") || text.contains("empty selector is invalid") || text.ends_with("is invalid:")
    })
}
