//! A required field is missing.

use api::field::FieldErrorType;

use super::structure::{self, Wrong};
use super::{judged, places};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::manifest::Document;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0552",
    key: "manifest-field-missing",
    title: "field that must be there is missing",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for file in &evidence.read().manifests {
        for document in &file.documents {
            for path in missing(document) {
                let (key, value, _) = judged::place(document, &path);
                let at = key.unwrap_or(value).span.clone();
                let cause = format!("`{path}` of {} is missing", places::named(document));
                let finding = findings.proven(places::text(file.item, &at), cause);
                for message in evidence.read().failures().filter(|message| message.text.contains(&path)) {
                    finding.message(message);
                }
                let kind = document.top("kind").to_lowercase();
                finding.fix(
                    Fix::manual(format!("add `{path}`")).step(format!("kubectl explain {kind}.{}", without_indexes(&path))),
                );
            }
        }
    }
}

/// Paths of fields that must be there and are not.
fn missing(document: &Document) -> Vec<String> {
    let problems = structure::problems(document);
    // What stands at the wrong level is missing at the right one; that is one fault.
    if problems.iter().any(|problem| !matches!(problem.wrong, Wrong::Missing)) {
        return Vec::new();
    }
    let mut paths: Vec<String> = problems.into_iter().map(|problem| problem.path).collect();
    for error in judged::errors(document) {
        let path = error.path.to_string();
        let required = error.kind == FieldErrorType::Required || judged::is_absent(document, &path);
        if required && !paths.iter().any(|known| known.starts_with(&path) || path.starts_with(known.as_str())) {
            paths.push(path);
        }
    }
    // These have rules of their own.
    paths.retain(|path| path != "spec.selector" && path != "metadata.name" && !path.starts_with("spec.template.metadata.labels"));
    paths
}

fn without_indexes(path: &str) -> String {
    path.split('.').map(|part| part.split('[').next().unwrap_or(part)).collect::<Vec<_>>().join(".")
}
