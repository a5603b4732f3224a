//! A scalar of the wrong type.

use super::places;
use super::structure::{self, Wrong};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0551",
    key: "manifest-wrong-type",
    title: "value of a manifest has the wrong type",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for file in &evidence.read().manifests {
        for document in &file.documents {
            for problem in structure::problems(document) {
                let Wrong::Scalar(words) = &problem.wrong else { continue };
                let place = places::text(file.item, &problem.value.span);
                let finding = findings.proven(place, format!("`{}` of {}: {words}", problem.path, places::named(document)));
                for message in evidence.read().failures().filter(|message| message.text.contains(problem.key.text().unwrap_or("\n"))) {
                    finding.message(message);
                }
                finding.fix(match problem.value.text() {
                    Some(text) if words.ends_with("should be text") => {
                        Fix::review("put it in quotes").edit(file.item, problem.value.span.clone(), format!("{text:?}"))
                    }
                    _ => Fix::manual("correct the value"),
                });
            }
        }
    }
}
