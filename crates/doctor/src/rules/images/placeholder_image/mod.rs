//! A scaffold's stand-in name was deployed.

use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::Answer;
use crate::read::pulls::{explain, grouped};
use crate::read::secrets::{Access, access};
use crate::read::written::place;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0149",
    key: "placeholder-image",
    title: "stand-in for an image's name",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let refused = read.pulls.iter().filter(|pull| matches!(pull.answer, Answer::Denied | Answer::Absent));
    for (image, pulls) in grouped(refused, |pull| pull.image.clone()) {
        let Some(first) = pulls.first() else { continue };
        let untold = first.answer == Answer::Absent && !first.says("repository");
        if untold || access(evidence, first) != Access::Placeholder {
            continue;
        }
        let name = image.trim_start_matches("docker.io/library/");
        let cause = format!("nobody has published `{name}` on Docker Hub: the manifest still has a stand-in for the real image, or the registry is left out");
        let finding = findings.likely(place(evidence, first), cause);
        explain(finding, &read.messages, &pulls);
        finding.fix(
            Fix::manual("write the real image, with its registry")
                .step(format!("kustomize edit set image {}=REGISTRY/REPOSITORY:TAG", name.split(':').next().unwrap_or(name))),
        );
    }
}
