//! The registry's certificate is over, seen by a clock that is right.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::network::{Clock, clock};
use crate::read::pulls::{explain, grouped};
use crate::read::reference::is_public;
use crate::read::{Answer, times};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0131",
    key: "registry-cert-expired",
    title: "registry certificate has expired",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let over = read.pulls.iter().filter(|pull| {
        pull.answer == Answer::Certificate && pull.says("has expired or is not yet valid") && !pull.says(" is before ")
    });
    for (host, pulls) in grouped(over, |pull| pull.asked.clone()) {
        let Some(first) = pulls.first() else { continue };
        let now = first.text.split_once("current time ").and_then(|(_, rest)| times::first(rest));
        let end = first.text.split_once(" is after ").map(|(_, rest)| rest);
        let end = end.and_then(|rest| rest.split_whitespace().next()).map(|time| time.trim_end_matches([',', '"']));
        let place = Place::Service(format!("registry {host} certificate"));
        let cause = match end {
            Some(end) => format!("the certificate of `{host}` ended at {end}"),
            None => format!("the certificate of `{host}` is not valid at the node's time"),
        };
        let finding = match clock(evidence, first, now) {
            Clock::Wrong => continue,
            Clock::Right => findings.proven(place, cause),
            Clock::Unknown if is_public(&host) => continue,
            Clock::Unknown => {
                let needs = ["date on the node, beside another clock", "notAfter of the certificate (openssl s_client)"];
                let finding = findings.open(place, cause);
                finding.or(&["node-clock-skew"]).needs(&needs)
            }
        };
        explain(finding, &read.messages, &pulls);
        let look = format!("openssl s_client -connect {host} </dev/null | openssl x509 -noout -dates");
        finding.fix(Fix::manual("renew the registry's certificate").step(look));
    }
}
