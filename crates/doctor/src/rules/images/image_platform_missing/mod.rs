//! The image has no variant for the node's platform.

use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::Answer;
use crate::read::pulls::{explain, grouped};
use crate::read::written::place;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0143",
    key: "image-platform-missing",
    title: "image has no variant for the node's platform",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let other = read.pulls.iter().filter(|pull| pull.answer == Answer::Platform);
    for (image, pulls) in grouped(other, |pull| pull.image.clone()) {
        let Some(first) = pulls.first() else { continue };
        let told = first.text.split_once("no matching manifest for ").and_then(|(_, rest)| rest.split_whitespace().next());
        let platform = told.map_or("the node's platform".to_owned(), |platform| format!("`{platform}`"));
        let cause = format!("the index of `{image}` has no entry for {platform}");
        let finding = findings.proven(place(evidence, first), cause);
        explain(finding, &read.messages, &pulls);
        finding.fix(
            Fix::manual("publish the image for this platform, or choose another image or node")
                .step(format!("skopeo inspect --raw docker://{image}")),
        );
    }
}
