//! A variable in an image name was not replaced, or was replaced by nothing.

use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::reference::Flaw;
use crate::read::written::{explain_flaw, flawed};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0148",
    key: "unexpanded-variable-in-image",
    title: "variable in an image name",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for flawed in flawed(evidence, Flaw::Variable) {
        let part = &flawed.image[flawed.bytes.clone()];
        let cause = if part.is_empty() {
            format!("a part of the image name `{}` is empty", flawed.image)
        } else {
            format!("`{part}` in the image name was not replaced")
        };
        let finding = findings.proven(flawed.place.clone(), cause);
        explain_flaw(evidence, finding, &flawed);
        finding.fix(Fix::manual("render the manifest before it is applied").step("envsubst < FILE | kubectl apply -f -"));
    }
}
