//! The host name of the kubeconfig's server can't be resolved.

use super::client;
use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::Message;

pub const RULE: Rule = Rule {
    code: "SM0451",
    key: "kubeconfig-server-unknown-host",
    title: "host of the server address has no address",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const WORDS: [&str; 4] =
    ["no such host", "server misbehaving", "Temporary failure in name resolution", "name resolution"];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let all = client::said(evidence, &["lookup "]);
    let ours = all.filter(|message| {
        evidence.items()[message.item].kind != ItemKind::NodeFacts
            && WORDS.iter().any(|words| message.text.contains(words))
            && host(&message.text).is_some()
    });
    let messages: Vec<&Message> = ours.collect();
    let Some(host) = messages.first().and_then(|first| host(&first.text)) else { return };
    let server = evidence.read().kubeconfigs.iter().find_map(|config| {
        let servers = config.clusters.iter().filter_map(|cluster| cluster.server.as_ref());
        Some((config.item, servers.clone().find(|server| server.value.contains(host))?))
    });
    let place = match server {
        Some((item, server)) => Place::Text { item, span: server.span.clone() },
        None => Place::Service(format!("API server {host}")),
    };
    let finding = findings.likely(place, format!("the server's name {host} has no address: it is wrong, or this machine's name server does not know it"));
    for message in &messages {
        finding.message(message);
    }
    finding.fix(
        Fix::manual("correct the name, or connect to the network that knows it (VPN)")
            .step(format!("getent hosts {host}"))
            .step("kubectl config view --minify -o jsonpath='{.clusters[0].cluster.server}'"),
    );
}

/// The name that was looked up for the API server.
fn host(text: &str) -> Option<&str> {
    let api = ["Unable to connect", "cluster unreachable", "/api", "/version", "/openapi", "connection to the server"];
    if !api.iter().any(|word| text.contains(word)) {
        return None;
    }
    let (_, rest) = text.split_once("lookup ")?;
    rest.split([' ', ':']).next().filter(|host| host.is_ascii() && host.contains(|mark: char| mark.is_ascii_alphanumeric()))
}
