//! Reports as SARIF 2.1.0, for code scanners and editors.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Value, json};

use super::place;
use super::proof::proofs;
use crate::evidence::{Evidence, Item};
use crate::examine::Report;
use crate::finding::{Edit, Finding, Fix, Place, Severity};
use crate::page;
use crate::rules;
use crate::text::Position;

/// The report, made by this version of Shipmate.
pub fn sarif(evidence: &Evidence, report: &Report, version: &str) -> Value {
    let mut codes: Vec<&str> = report.findings.iter().map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes.dedup();
    let notifications = report.unchecked.iter().map(
        |(origin, reason)| json!({"level": "warning", "message": {"text": format!("not checked: {origin}: {reason}")}}),
    );
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "shipmate",
                "version": version,
                "rules": codes.iter().filter_map(|code| descriptor(code)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": true,
                "toolExecutionNotifications": notifications.collect::<Vec<_>>(),
            }],
            "results": report.findings.iter().map(|found| result(evidence, found, &codes)).collect::<Vec<_>>(),
        }],
    })
}

fn descriptor(code: &str) -> Option<Value> {
    let rule = rules::find(code)?;
    Some(json!({
        "id": rule.code,
        "name": rule.key,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.title},
        "help": {"text": page::prose(rule.page), "markdown": page::prose(rule.page)},
        "defaultConfiguration": {"level": level(rule.severity)},
    }))
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    }
}

fn result(evidence: &Evidence, finding: &Finding, codes: &[&str]) -> Value {
    let mut text = format!("{}: {}", finding.title, finding.cause);
    for note in &finding.notes {
        text.push_str(&format!("\nnote: {note}"));
    }
    for need in &finding.needs {
        text.push_str(&format!("\nwould decide: {need}"));
    }
    let proofs = proofs(evidence, finding);
    let related = proofs.iter().enumerate().filter_map(|(number, proof)| {
        let item = evidence.items().get(proof.item)?;
        let region = json!({"startLine": proof.line.unwrap_or(1), "snippet": {"text": proof.text}});
        Some(json!({
            "id": number,
            "physicalLocation": {"artifactLocation": {"uri": uri(item)}, "region": region},
            "message": {"text": format!("evidence: {}", proof.origin)},
        }))
    });
    let mut value = json!({
        "ruleId": finding.code,
        "ruleIndex": codes.iter().position(|code| *code == finding.code),
        "level": level(finding.severity),
        "message": {"text": text},
        "locations": [location(evidence, &finding.place)],
        "relatedLocations": related.collect::<Vec<_>>(),
        "properties": {"certainty": finding.certainty, "key": finding.key, "candidates": finding.candidates},
    });
    let fixes: Vec<Value> =
        finding.fixes.iter().filter(|fix| !fix.edits.is_empty()).map(|one| fix(evidence, one)).collect();
    if !fixes.is_empty() {
        value["fixes"] = fixes.into();
    }
    value
}

fn location(evidence: &Evidence, found: &Place) -> Value {
    let name = place(evidence, found);
    match found {
        Place::Text { item, span } => {
            let Some(item) = evidence.items().get(*item) else { return json!({"message": {"text": name}}) };
            json!({"physicalLocation": {
                "artifactLocation": {"uri": uri(item)},
                "region": region(&item.text, span),
            }})
        }
        _ => json!({
            "message": {"text": name},
            "logicalLocations": [{"fullyQualifiedName": name, "kind": match found {
                Place::Object { .. } => "object",
                Place::Machine { .. } => "resource",
                _ => "service",
            }}],
        }),
    }
}

fn region(text: &str, span: &Range<usize>) -> Value {
    let (start, end) = (Position::of(text, span.start), Position::of(text, span.end));
    json!({"startLine": start.line, "startColumn": start.column, "endLine": end.line, "endColumn": end.column})
}

fn fix(evidence: &Evidence, fix: &Fix) -> Value {
    let mut by_item: BTreeMap<usize, Vec<&Edit>> = BTreeMap::new();
    for edit in &fix.edits {
        by_item.entry(edit.item).or_default().push(edit);
    }
    let changes = by_item.into_iter().filter_map(|(item, edits)| {
        let item = evidence.items().get(item)?;
        let replacements = edits.into_iter().map(
            |edit| json!({"deletedRegion": region(&item.text, &edit.span), "insertedContent": {"text": edit.new}}),
        );
        Some(json!({
            "artifactLocation": {"uri": uri(item)},
            "replacements": replacements.collect::<Vec<_>>(),
        }))
    });
    json!({"description": {"text": fix.title}, "artifactChanges": changes.collect::<Vec<_>>()})
}

/// A file's path; of a file on a node, the node is the host. Other origins become a path below `evidence:`.
fn uri(item: &Item) -> String {
    let escaped = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        text.bytes()
            .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect::<String>()
    };
    match (item.origin.node(), item.origin.path()) {
        (Some(node), Some(path)) => format!("file://{}{}", escaped(node).replace('/', "%2F"), escaped(path)),
        (None, Some(path)) if path.starts_with('/') => format!("file://{}", escaped(path)),
        (None, Some(path)) => escaped(path),
        _ => format!("evidence:{}", escaped(&item.origin.0).replace('/', "%2F")),
    }
}
