//! A name of the cluster DNS is used as registry; nodes do not ask the cluster DNS.

use crate::evidence::{Evidence, Item};
use crate::read::existing::namespace_of;
use crate::read::objects::Found;
use crate::finding::{Fix, Place, Severity};
use crate::read::{Answer, same_node};
use crate::read::pulls::{explain, grouped, is_cluster_name};
use crate::read::written::place;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0156",
    key: "cluster-dns-name-as-registry",
    title: "registry is named by the cluster's DNS",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let inner = read.pulls.iter().filter(|pull| {
        pull.answer == Answer::Lookup && pull.lookup().is_some_and(|(name, _)| is_cluster_name(name) || is_service(evidence, name))
    });
    for ((name, node), pulls) in grouped(inner, |pull| (pull.lookup().unwrap_or_default().0.to_owned(), pull.node.clone())) {
        let Some(first) = pulls.first() else { continue };
        let place = configured(evidence, &name, &node).unwrap_or_else(|| place(evidence, first));
        let cause = format!("`{name}` is a name of the cluster's DNS, which the node does not ask");
        let finding = findings.proven(place, cause);
        finding.weigh(1);
        explain(finding, &read.messages, &pulls);
        finding.fix(
            Fix::manual("use an address that nodes resolve: the service's node port, or a name in the node's DNS")
                .step("kubectl get service -A -o wide | grep -i registry"),
        );
    }
}

/// Where the runtime's configuration names the host.
fn configured(evidence: &Evidence, name: &str, node: &str) -> Option<Place> {
    let read = evidence.read();
    let legacy = read.configs.iter().filter(|config| same_node(&config.node, node));
    let legacy = legacy.flat_map(|config| {
        config.mirrors().into_iter().flat_map(|mirror| mirror.endpoints).map(|url| (config.item, url))
    });
    let files = read.hosts.iter().filter(|file| same_node(&file.node, node));
    let files = files.flat_map(|file| file.hosts().into_iter().map(|host| (file.item, host.url)));
    legacy.chain(files).find_map(|(item, url)| {
        let raw = evidence.items()[item].text.get(url.span.clone())?;
        let at = url.span.start + raw.find(name)?;
        Some(Place::Text { item, span: at..at + name.len() })
    })
}

/// Whether a short name is that of a Service in the evidence.
fn is_service(evidence: &Evidence, name: &str) -> bool {
    let Some((service, namespace)) = name.split_once('.') else { return false };
    let object = |found: &Found| found.kind() == "Service" && found.name() == service && found.namespace() == namespace;
    let row = |item: &Item| {
        let asked = item.origin.source().contains("svc") || item.origin.source().contains("service");
        let here = asked && namespace_of(&item.origin).as_deref() == Some(namespace);
        let first = |line: &str| line.split_whitespace().next().is_some_and(|name| name.trim_start_matches("service/") == service);
        here && item.text.lines().any(first)
    };
    !namespace.contains('.') && (evidence.read().objects.iter().any(object) || evidence.items().iter().any(row))
}
