//! The node's resolver does not give the registry's address.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::Answer;
use crate::read::network::resolver;
use crate::read::pulls::{explain, grouped, is_cluster_name};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0155",
    key: "node-dns-failure",
    title: "node does not resolve the registry",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let unknown = read.pulls.iter().filter(|pull| pull.answer == Answer::Lookup);
    let groups = grouped(unknown, |pull| {
        let (name, server) = pull.lookup().unwrap_or_default();
        (pull.node.clone(), name.to_owned(), server.map(str::to_owned))
    });
    for ((node, name, server), pulls) in groups {
        if is_cluster_name(&name) {
            continue;
        }
        let name = if name.is_empty() { "the registry".to_owned() } else { format!("`{name}`") };
        let none = server.as_deref().is_some_and(|server| server.starts_with("[::1]") || server.starts_with("127.0.0.1:"));
        let resolver = resolver(evidence, &node);
        let place = match &resolver {
            Some((item, span)) => Place::Text { item: *item, span: span.clone() },
            None => Place::Machine { node: node.clone(), what: "/etc/resolv.conf".to_owned() },
        };
        let cause = match server.as_deref().map(|server| server.trim_end_matches(":53")) {
            Some(server) if none => format!("the node has no name server: it asks itself ({server}) for {name}, and nobody listens"),
            Some(server) => format!("the node's name server {server} does not resolve {name}"),
            None => format!("the node does not resolve {name}"),
        };
        let finding = match resolver.is_some() || none {
            true => findings.proven(place, cause),
            false => findings.likely(place, cause),
        };
        explain(finding, &read.messages, &pulls);
        finding.note("pulls use the node's resolver, not the cluster's DNS");
        finding.fix(
            Fix::manual("give the node name servers that know the name")
                .step("cat /etc/resolv.conf; resolvectl status")
                .step(format!("getent hosts {}", name.trim_matches('`'))),
        );
    }
}
