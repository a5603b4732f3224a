//! Reports as JSON. The form is documented in `docs/doctor.md`; fields are added to it and never change their meaning.

use serde_json::{Map, Value, json};

use super::place;
use super::proof::proofs;
use crate::evidence::Evidence;
use crate::examine::Report;
use crate::finding::{Finding, Fix, Place};
use crate::rules;
use crate::text::Position;

/// Version of the form.
const FORM: u32 = 1;

/// The report.
pub fn json(evidence: &Evidence, report: &Report) -> Value {
    let count = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    use crate::finding::Severity::{Error, Note, Warning};
    let unchecked = report.unchecked.iter().map(|(origin, reason)| json!({"origin": origin, "reason": reason}));
    json!({
        "version": FORM,
        "summary": {"errors": count(Error), "warnings": count(Warning), "notes": count(Note), "evidence": evidence.items().len()},
        "findings": report.findings.iter().map(|found| finding(evidence, found)).collect::<Vec<_>>(),
        "unchecked": unchecked.collect::<Vec<_>>(),
    })
}

fn finding(evidence: &Evidence, finding: &Finding) -> Value {
    let candidates = finding.candidates.iter().map(|key| {
        let rule = rules::find(key);
        json!({"key": key, "code": rule.map(|rule| rule.code), "title": rule.map(|rule| rule.title)})
    });
    let proofs = proofs(evidence, finding);
    let quotes = proofs.iter().map(|proof| json!({"origin": proof.origin, "line": proof.line, "text": proof.text}));
    json!({
        "code": finding.code,
        "key": finding.key,
        "title": finding.title,
        "severity": finding.severity,
        "certainty": finding.certainty,
        "place": at(evidence, &finding.place),
        "cause": finding.cause,
        "evidence": quotes.collect::<Vec<_>>(),
        "notes": finding.notes,
        "candidates": candidates.collect::<Vec<_>>(),
        "needs": finding.needs,
        "fixes": finding.fixes.iter().map(|one| fix(evidence, one)).collect::<Vec<_>>(),
    })
}

fn at(evidence: &Evidence, found: &Place) -> Value {
    let mut value = match found {
        Place::Text { item, span } => text_place(evidence, *item, span.start, span.end),
        Place::Object { kind, namespace, name, field } => {
            json!({"type": "object", "kind": kind, "namespace": namespace, "name": name, "field": field})
        }
        Place::Machine { node, what } => json!({"type": "machine", "node": node, "what": what}),
        Place::Service(name) => json!({"type": "service", "name": name}),
    };
    value["text"] = place(evidence, found).into();
    value
}

/// Bytes of an item, as origin and as places from 1; the end is behind the last character.
fn text_place(evidence: &Evidence, item: usize, start: usize, end: usize) -> Value {
    let Some(item) = evidence.items().get(item) else { return json!({"type": "text"}) };
    let (from, to) = (Position::of(&item.text, start), Position::of(&item.text, end));
    json!({
        "type": "text",
        "origin": item.origin.0,
        "node": item.origin.node(),
        "path": item.origin.path(),
        "start": from,
        "end": to,
    })
}

fn fix(evidence: &Evidence, fix: &Fix) -> Value {
    let edits = fix.edits.iter().map(|edit| {
        let mut value = text_place(evidence, edit.item, edit.span.start, edit.span.end);
        value["new"] = edit.new.as_str().into();
        value
    });
    let mut value = Map::new();
    value.insert("applicability".to_owned(), json!(fix.applicability));
    value.insert("title".to_owned(), json!(fix.title));
    value.insert("edits".to_owned(), edits.collect());
    value.insert("patches".to_owned(), json!(fix.patches));
    value.insert("restart".to_owned(), json!(fix.restart));
    value.insert("steps".to_owned(), json!(fix.steps));
    Value::Object(value)
}
