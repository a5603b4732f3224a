//! A layer in the registry does not fit its digest, or is missing.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::Answer;
use crate::read::pulls::{explain, grouped};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0153",
    key: "registry-blob-corrupt",
    title: "layer in the registry is damaged",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let damaged = read.pulls.iter().filter(|pull| {
        let size = pull.says("failed size validation") || pull.says("short read: expected");
        pull.answer == Answer::Damaged && !size
    });
    for ((host, image), pulls) in grouped(damaged, |pull| (pull.asked.clone(), pull.image.clone())) {
        let Some(first) = pulls.first() else { continue };
        let digest = first.text.rsplit_once("expected ").or_else(|| first.text.split_once("descriptor "));
        let digest = digest.and_then(|(_, rest)| rest.split([':', ' ', ',']).nth(1)).unwrap_or_default();
        let layer = if digest.is_empty() { "a layer".to_owned() } else { format!("layer sha256:{}", short(digest)) };
        let what = if first.says("could not fetch") || first.says("blob unknown") {
            "is named by the manifest, but not in the registry"
        } else {
            "does not fit its digest"
        };
        let cause = format!("{layer} of `{image}` {what}");
        let finding = findings.likely(Place::Service(format!("registry {host} {layer}")), cause);
        explain(finding, &read.messages, &pulls);
        finding.note("a cache or proxy on the way may do it as well: the same pull from elsewhere tells");
        finding.fix(
            Fix::manual("push the image again; then check the registry's storage and what stands before it")
                .step(format!("skopeo copy docker://{image} dir:/tmp/check")),
        );
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
