//! An image name begins with `https://` or the like.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::reference::Flaw;
use crate::read::written::{explain_flaw, flawed};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0147",
    key: "scheme-in-image-reference",
    title: "scheme in an image name",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for flawed in flawed(evidence, Flaw::Scheme) {
        let cause = format!("the image `{}` begins with `{}`", flawed.image, &flawed.image[flawed.bytes.clone()]);
        let finding = findings.proven(flawed.place.clone(), cause);
        explain_flaw(evidence, finding, &flawed);
        let fix = match &flawed.place {
            Place::Text { item, span } => Fix::safe("delete the scheme").edit(*item, span.clone(), ""),
            _ => Fix::manual(format!("write it without the scheme: {}", &flawed.image[flawed.bytes.end..])),
        };
        finding.fix(fix);
    }
}
