//! A blank, tab or line end in an image name.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::reference::Flaw;
use crate::read::written::{explain_flaw, flawed};
use crate::text::visible;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0145",
    key: "image-surrounding-whitespace",
    title: "blank in an image name",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for flawed in flawed(evidence, Flaw::Blank) {
        let cause = format!("the image name \"{}\" has a blank in it", visible(&flawed.image));
        let finding = findings.proven(flawed.place.clone(), cause);
        explain_flaw(evidence, finding, &flawed);
        let fix = match &flawed.place {
            Place::Text { item, span } => Fix::safe("delete the blank").edit(*item, span.clone(), ""),
            _ => Fix::manual("delete the blank where the image's name comes from: manifest, chart value, script"),
        };
        finding.fix(fix);
    }
}
