//! The registry limits pulls, by address or account.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::pulls::{explain, grouped};
use crate::read::Answer;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0134",
    key: "registry-rate-limit",
    title: "registry limits pulls",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let limited = read.pulls.iter().filter(|pull| pull.answer == Answer::Limited);
    for (host, pulls) in grouped(limited, |pull| pull.asked.clone()) {
        let anonymous = pulls.iter().any(|pull| pull.says("unauthenticated") || pull.says("anonymous"));
        let whose = if anonymous { "anonymous pulls from this address" } else { "pulls" };
        let cause = format!("`{host}` has had too many {whose} and answers 429 until its window has passed");
        let finding = findings.proven(Place::Service(format!("registry {host}")), cause);
        explain(finding, &read.messages, &pulls);
        finding.fix(
            Fix::manual("pull with an account, through a cache of your own, or later")
                .step("kubectl create secret docker-registry NAME --docker-server=… --docker-username=… --docker-password=…"),
        );
    }
}
