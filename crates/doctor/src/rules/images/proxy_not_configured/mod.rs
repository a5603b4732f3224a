//! The network wants a proxy that the runtime does not have.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::network::proxies;
use crate::read::pulls::{explain, grouped};
use crate::read::Answer;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0157",
    key: "proxy-not-configured",
    title: "runtime has no proxy, and the network wants one",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let silent = read.pulls.iter().filter(|pull| {
        matches!(pull.answer, Answer::Silent | Answer::Lookup | Answer::Refused) && !is_local(&pull.asked)
    });
    for (node, pulls) in grouped(silent, |pull| pull.node.clone()) {
        let Some(first) = pulls.first() else { continue };
        let known = proxies(evidence, &node);
        let Some((item, line, proxy)) = known.shell.filter(|_| known.unit.is_none()) else { continue };
        let place = Place::Machine { node: node.clone(), what: "containerd.service Environment".to_owned() };
        let cause = format!(
            "the node reaches `{}` by the proxy `{}`, and the runtime's unit has none",
            first.asked,
            without_password(&proxy)
        );
        let finding = if known.looked { findings.proven(place, cause) } else { findings.likely(place, cause) };
        finding.weigh(2).quote(item, line);
        explain(finding, &read.messages, &pulls);
        finding.fix(
            Fix::manual("give the runtime's unit the proxy, and what must not go by it")
                .step("systemctl edit containerd # [Service] Environment=\"HTTPS_PROXY=…\" \"NO_PROXY=10.0.0.0/8,.svc,…\"")
                .step("systemctl daemon-reload && systemctl restart containerd"),
        );
    }
}

/// Addresses within the own network are not asked by a proxy.
fn is_local(asked: &str) -> bool {
    let host = crate::read::reference::host(asked);
    let private = ["10.", "192.168.", "127.", "172.16.", "172.17.", "172.31.", "localhost"];
    private.iter().any(|start| host.starts_with(start))
}

fn without_password(proxy: &str) -> String {
    match proxy.split_once("://").and_then(|(scheme, rest)| rest.rsplit_once('@').map(|(_, host)| (scheme, host))) {
        Some((scheme, host)) => format!("{scheme}://{host}"),
        None => proxy.to_owned(),
    }
}
