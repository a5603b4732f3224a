//! The selector and the labels of the template differ.

use super::{judged, places};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0555",
    key: "selector-does-not-match-template",
    title: "selector of a workload does not match its own pods",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for file in &evidence.read().manifests {
        for document in &file.documents {
            for error in judged::errors(document) {
                let path = error.path.to_string();
                if !is_mine(&error) || judged::is_absent(document, "spec.selector") {
                    continue;
                }
                let (key, value, exact) = judged::place(document, &path);
                let span = if exact { &value.span } else { &key.unwrap_or(value).span };
                let span = if exact { span.clone() } else { span.start..span.end.min(first_line(evidence, file.item, span.start)) };
                let cause = format!("the selector of {} does not match the labels of its template", places::named(document));
                let finding = findings.proven(places::text(file.item, &span), cause);
                for message in evidence.read().failures().filter(|message| message.text.contains(&path)) {
                    finding.message(message);
                }
                finding.fix(Fix::manual("make `spec.selector.matchLabels` and `spec.template.metadata.labels` the same"));
            }
        }
    }
}

/// The end of the line in which an offset lies.
fn first_line(evidence: &Evidence, item: usize, offset: usize) -> usize {
    let text = &evidence.items()[item].text;
    text.get(offset..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| offset + at)
}

fn is_mine(error: &api::field::FieldError) -> bool {
    error.message.contains("does not match template")
}
