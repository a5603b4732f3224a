//! The repository of an image has capitals.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::reference::Flaw;
use crate::read::written::{explain_flaw, flawed};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0144",
    key: "image-name-not-lowercase",
    title: "capitals in an image name",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for flawed in flawed(evidence, Flaw::Capitals) {
        let cause = format!("the repository in `{}` has capitals", flawed.image);
        let finding = findings.proven(flawed.place.clone(), cause);
        explain_flaw(evidence, finding, &flawed);
        let lower = flawed.image[flawed.bytes.clone()].to_lowercase();
        let fix = match &flawed.place {
            Place::Text { item, span } => Fix::review("write it in lower case").edit(*item, span.clone(), lower),
            _ => Fix::manual(format!("write the name in lower case: {}", flawed.image.to_lowercase())),
        };
        finding.fix(fix);
    }
}
