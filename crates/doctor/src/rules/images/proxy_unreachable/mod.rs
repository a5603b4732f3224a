//! A proxy is configured and does not answer.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::network::proxies;
use crate::read::pulls::{explain, grouped};
use crate::read::Answer;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0158",
    key: "proxy-unreachable",
    title: "proxy does not answer",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let refused = read.pulls.iter().filter(|pull| pull.answer == Answer::Proxy);
    for (node, pulls) in grouped(refused, |pull| pull.node.clone()) {
        let Some(first) = pulls.first() else { continue };
        let name = match (first.lookup(), first.dialled()) {
            (Some((name, _)), _) => format!("the proxy `{name}`, whose name is not resolved"),
            (None, Some(address)) => format!("the proxy {address}, which does not answer"),
            _ if first.says("407") || first.says("Authentication Required") => "a proxy that wants a login".to_owned(),
            _ => "a proxy that does not answer as one".to_owned(),
        };
        let place = match proxies(evidence, &node).unit {
            Some((item, span, _)) => Place::Text { item, span },
            None => Place::Machine { node: node.clone(), what: "HTTPS_PROXY of the runtime".to_owned() },
        };
        let finding = findings.proven(place, format!("the runtime asks `{}` by {name}", first.asked));
        explain(finding, &read.messages, &pulls);
        finding.fix(
            Fix::manual("enter the present proxy, or take it away; NO_PROXY for inner registries")
                .step("systemctl cat containerd | grep -i proxy")
                .step("systemctl daemon-reload && systemctl restart containerd"),
        );
    }
}
