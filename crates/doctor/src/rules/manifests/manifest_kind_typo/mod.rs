//! A kind that a built-in group does not have: misspelt, or in the wrong group.

use super::places;
use super::removed::{self, NoMatch, Reason};
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Severity};
use crate::read::manifest::Document;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0503",
    key: "manifest-kind-typo",
    title: "kind or apiVersion of a manifest is misspelt",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut told: Vec<(String, String)> = Vec::new();
    for file in &read.manifests {
        for document in &file.documents {
            let (kind, version) = (document.top("kind"), document.top("apiVersion"));
            if kind.is_empty() || version.is_empty() || super::structure::schema_of(document).is_some() {
                continue;
            }
            let Reason::Typo(other, meant) = removed::reason(version, kind) else { continue };
            told.push((kind.to_owned(), version.to_owned()));
            of_document(evidence, file.item, document, &other, &meant, findings);
        }
    }
    for message in read.failures() {
        for no_match in removed::no_matches(&message.text) {
            if told.contains(&(no_match.kind.clone(), no_match.version.clone())) {
                continue;
            }
            let Reason::Typo(other, meant) = removed::reason(&no_match.version, &no_match.kind) else { continue };
            let place = places::object(&no_match.kind, &no_match.namespace, &no_match.name, "kind");
            let NoMatch { kind, version, .. } = &no_match;
            let finding = findings.likely(place, cause(kind, version, &other, &meant));
            finding.message(message);
            finding.fix(remedy(kind, &other, &meant));
        }
    }
}

fn cause(kind: &str, version: &str, other: &str, meant: &str) -> String {
    if meant == kind {
        format!("`{version}` has no kind `{kind}`; `{other}` has")
    } else {
        format!("there is no kind `{kind}` in `{version}`")
    }
}

fn remedy(kind: &str, other: &str, meant: &str) -> Fix {
    match meant {
        "" => Fix::manual("correct the kind").step("kubectl api-resources"),
        same if same == kind => Fix::manual(format!("write `apiVersion: {other}`")),
        meant => Fix::manual(format!("write `kind: {meant}`")),
    }
}

fn of_document(
    evidence: &Evidence,
    item: usize,
    document: &Document,
    other: &str,
    meant: &str,
    findings: &mut Findings<'_>,
) {
    let (kind, version) = (document.top("kind"), document.top("apiVersion"));
    let field = if meant == kind { "apiVersion" } else { "kind" };
    let Some(value) = document.root.get(field) else { return };
    // The first character that differs.
    let new = if meant == kind { other } else { meant };
    let same = value.text().unwrap_or_default().chars().zip(new.chars()).take_while(|(one, two)| one == two);
    let same: usize = same.map(|(one, _)| one.len_utf8()).sum();
    let same = if new.is_empty() { 0 } else { same };
    let plain = value.text().is_some_and(|text| text.len() == value.span.len());
    let start = if plain { (value.span.start + same).min(value.span.end) } else { value.span.start };
    let finding = findings.proven(places::text(item, &(start..value.span.end)), cause(kind, version, other, meant));
    explain(evidence, kind, version, finding);
    let fix = match new {
        "" => remedy(kind, other, meant),
        new => Fix::review(format!("write `{field}: {new}`")).edit(item, value.span.clone(), new),
    };
    finding.fix(fix);
}

fn explain(evidence: &Evidence, kind: &str, version: &str, finding: &mut Finding) {
    let wanted = |message: &&crate::read::Message| {
        removed::no_matches(&message.text).iter().any(|one| one.kind == kind && one.version == version)
            || message.text.contains("ensure CRDs are installed")
    };
    for message in evidence.read().failures().filter(wanted) {
        finding.message(message);
    }
}
