//! A gateway on the way replaces the certificates of registries, and its CA is not trusted on the node.

use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Fix, Place, Severity};
use crate::read::{pulls, reference, registry, same_node};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0123",
    key: "tls-intercepting-proxy",
    title: "gateway replaces certificates, and its CA is not trusted",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for ((node, host), pulls) in read.unknown_authorities() {
        let issuer = registry::issuer(evidence, &node, &host);
        let public = reference::is_public(&host);
        let foreign = issuer.as_ref().filter(|issuer| issuer.gateway || (public && !issuer.public));
        let place = |what: &str| Place::Machine { node: node.clone(), what: what.to_owned() };
        let finding = if let Some(issuer) = foreign {
            let cause = format!("the certificate for `{host}` is from \"{}\": a gateway put its own in place of the registry's", issuer.name);
            let finding = findings.proven(place(&format!("trust store ({})", issuer.name)), cause);
            finding.quote(issuer.item, issuer.line);
            finding
        } else if !public || issuer.is_some() {
            continue;
        } else if proxied(evidence, &node) {
            let cause = format!("requests to `{host}` go through a proxy, and the certificate that comes back is not the registry's");
            findings.likely(place("trust store"), cause)
        } else {
            let finding = findings.open(place("trust store"), format!("the certificate for `{host}` is from an authority that the node does not know"));
            finding.or(&["registry-ca-untrusted", "node-clock-skew"]).needs(&[
                &format!("openssl s_client -connect {host}:443 (issuer of the certificate)"),
                "systemctl show containerd -p Environment (proxy settings)",
                "CA certificates in the node's trust store (update-ca-certificates, ca-certificates package)",
            ]);
            finding
        };
        pulls::explain(finding, &read.messages, &pulls);
        let fix = Fix::manual("add the gateway's CA to the node's trust store, or exempt the registry from inspection")
            .step("cp gateway-ca.crt /usr/local/share/ca-certificates/ && update-ca-certificates")
            .step("systemctl restart containerd");
        finding.fix(fix);
    }
}

/// Whether the node's programs have a proxy.
fn proxied(evidence: &Evidence, node: &str) -> bool {
    let told = evidence.items().iter().filter(|item| matches!(item.kind, ItemKind::NodeFacts | ItemKind::Text));
    let mut here = told.filter(|item| same_node(item.origin.node().unwrap_or_default(), node));
    here.any(|item| {
        let lower = item.text.to_ascii_lowercase();
        ["https_proxy=", "http_proxy="].iter().any(|name| {
            lower.split(name).skip(1).any(|rest| rest.trim_start_matches(['"', '\'']).starts_with(|one: char| one.is_alphanumeric()))
        })
    })
}
