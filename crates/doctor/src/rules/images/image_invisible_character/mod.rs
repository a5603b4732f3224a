//! A character in an image name that cannot be seen, or that looks like another one.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::reference::Flaw;
use crate::read::written::{explain_flaw, flawed};
use crate::text::{is_invisible, visible};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0146",
    key: "image-invisible-character",
    title: "invisible character in an image name",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for flawed in flawed(evidence, Flaw::Invisible) {
        let character = flawed.image[flawed.bytes.clone()].chars().next().unwrap_or_default();
        let code = u32::from(character);
        let cause = format!("the image name `{}` has the character U+{code:04X} in it", visible(&flawed.image));
        let finding = findings.proven(flawed.place.clone(), cause);
        explain_flaw(evidence, finding, &flawed);
        let fix = match &flawed.place {
            Place::Text { item, span } if is_invisible(character) => {
                Fix::safe("delete the character").edit(*item, span.clone(), "")
            }
            _ => Fix::manual("type the name anew where it comes from"),
        };
        finding.fix(fix);
    }
}
