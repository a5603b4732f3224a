//! A field that the kind does not know, and that belongs nowhere near.

use super::places;
use super::structure::{self, Home, Wrong};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0550",
    key: "manifest-unknown-field",
    title: "manifest has a field that its kind does not know",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for file in &evidence.read().manifests {
        for document in &file.documents {
            for problem in structure::problems(document) {
                let Wrong::Unknown(home @ (Home::Misspelt(_) | Home::Nowhere)) = &problem.wrong else { continue };
                let name = problem.key.text().unwrap_or_default();
                let cause = format!("{} has no field `{}`", places::named(document), problem.path);
                let finding = findings.proven(places::text(file.item, &problem.key.span), cause);
                let quoted = format!("{name}\"");
                for message in evidence.read().failing(&["unknown field", &quoted]) {
                    finding.message(message);
                }
                finding.fix(match home {
                    Home::Misspelt(near) => Fix::review(format!("write `{near}`")).edit(file.item, problem.key.span.clone(), near),
                    _ => Fix::manual("delete it, or put it where it belongs")
                        .step(format!("kubectl explain {}", document.top("kind").to_lowercase())),
                });
            }
        }
    }
}
