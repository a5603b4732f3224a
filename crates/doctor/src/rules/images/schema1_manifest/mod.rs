//! The image has only a manifest of schema 1.

use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::Answer;
use crate::read::pulls::{explain, grouped};
use crate::read::written::place;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0151",
    key: "schema1-manifest",
    title: "image in a form that is no longer read",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let old = read.pulls.iter().filter(|pull| pull.answer == Answer::OldManifest);
    for (image, pulls) in grouped(old, |pull| pull.image.clone()) {
        let Some(first) = pulls.first() else { continue };
        let cause = format!("`{image}` has only a schema 1 manifest, which this runtime does not read");
        let finding = findings.proven(place(evidence, first), cause);
        explain(finding, &read.messages, &pulls);
        finding.fix(
            Fix::manual("build the image anew, or push it again with a present client")
                .step(format!("skopeo copy --format v2s2 docker://{image} docker://REGISTRY/REPOSITORY:TAG")),
        );
    }
}
