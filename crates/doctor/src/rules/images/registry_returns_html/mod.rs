//! Something on the way answers the registry request with a web page.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::pulls::{explain, grouped};
use crate::read::{Answer, Pull};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0135",
    key: "registry-returns-html",
    title: "web page instead of a manifest",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let pages = read.pulls.iter().filter(|pull| pull.answer == Answer::Page);
    for (host, pulls) in grouped(pages, |pull| pull.asked.clone()) {
        let Some(first) = pulls.first() else { continue };
        let cause = format!("a request to `{host}` was answered with a web page, not with a manifest");
        let place = Place::Service(format!("registry {host}"));
        let finding = if seen_by_hand(evidence, first) {
            findings.likely(place, cause)
        } else {
            let call = format!("curl -I https://{host}/v2/ from the node (content type)");
            findings.open(place, cause).or(&["mirror-endpoint-path-without-v2", "proxy-not-configured"]).needs(&[
                &call,
                "mirror configuration in force (config.toml / hosts.toml)",
                "full image path in the registry",
            ])
        };
        explain(finding, &read.messages, &pulls);
        finding.fix(
            Fix::manual("point at the registry's API, or correct the image's path")
                .step(format!("curl -sI https://{host}/v2/ | grep -i content-type")),
        );
    }
}

/// Whether a call by hand got a page as well.
fn seen_by_hand(evidence: &Evidence, pull: &Pull) -> bool {
    let host = crate::read::reference::host(&pull.asked);
    evidence.asked("curl", None).any(|(_, item)| {
        let text = item.text.to_lowercase();
        (item.origin.0.contains(host) || item.text.contains(host)) && (text.contains("text/html") || text.contains("<html"))
    })
}
