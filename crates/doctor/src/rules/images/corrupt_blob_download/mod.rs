//! A layer arrived with another size than its manifest says.

use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::Answer;
use crate::read::pulls::{explain, grouped};
use crate::read::written::place;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0152",
    key: "corrupt-blob-download",
    title: "layer arrives with a wrong size",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    const SIZE: [&str; 2] = ["failed size validation", "short read: expected"];
    let read = evidence.read();
    let damaged = read.pulls.iter().filter(|pull| {
        let size = pull.answer == Answer::Damaged && SIZE.iter().any(|words| pull.says(words));
        size || (pull.says("unexpected EOF") && (pull.says("copy") || pull.says("layer")))
    });
    for (image, pulls) in grouped(damaged, |pull| pull.image.clone()) {
        let Some(first) = pulls.first() else { continue };
        let cause = format!("a layer of `{image}` did not arrive with the size that its manifest says");
        let place = place(evidence, first);
        let finding = if pulled_directly(evidence, &image) {
            findings.likely(place, cause)
        } else {
            findings.open(place, cause).or(&["registry-blob-corrupt", "node-disk-full"]).needs(&[
                "containerd --version",
                "hosts.toml / mirrors in force",
                "whether a pull straight from the source works",
            ])
        };
        explain(finding, &read.messages, &pulls);
        finding.fix(
            Fix::manual("remove what was half loaded, and pull again without the mirror")
                .step("ctr -n k8s.io content active")
                .step("crictl rmi IMAGE; crictl pull IMAGE"),
        );
    }
}

/// Whether the same image came well on another way.
fn pulled_directly(evidence: &Evidence, image: &str) -> bool {
    let path = image.split_once('/').map_or(image, |(_, path)| path);
    evidence.items().iter().any(|item| {
        let source = item.origin.0.as_str();
        let tried = (source.contains("pull") || source.contains("copy")) && source.contains(path);
        tried && (item.text.contains("up to date") || item.text.contains("done") || item.text.contains("Downloaded newer"))
    })
}
