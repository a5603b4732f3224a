//! The registry's certificate has only a Common Name, which programs written in Go no longer read.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::pulls::{explain, grouped};
use crate::read::Answer;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0130",
    key: "registry-cert-no-san",
    title: "registry certificate without subject names",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    const NONE: [&str; 3] =
        ["relies on legacy Common Name", "doesn't contain any IP SANs", "certificate is not valid for any names"];
    let read = evidence.read();
    let bare = read.pulls.iter().filter(|pull| {
        pull.answer == Answer::Certificate && NONE.iter().any(|words| pull.says(words))
    });
    for (host, pulls) in grouped(bare, |pull| pull.asked.clone()) {
        let cause = format!("the certificate of `{host}` names nothing in its subjectAltName");
        let finding = findings.proven(Place::Service(format!("registry {host} certificate")), cause);
        explain(finding, &read.messages, &pulls);
        let title = "issue the certificate anew, with a subjectAltName for every name and address that clients use";
        finding.fix(
            Fix::manual(title).step(format!("openssl req -new -addext 'subjectAltName=DNS:{host}' … # and have it signed")),
        );
    }
}
