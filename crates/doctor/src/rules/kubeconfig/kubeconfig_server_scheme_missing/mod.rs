//! The server address has no scheme, or `http` for a server that speaks TLS.

use super::client;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::Message;

pub const RULE: Rule = Rule {
    code: "SM0453",
    key: "kubeconfig-server-scheme-missing",
    title: "server address without https",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let messages: Vec<&Message> = client::said(evidence, &["Client sent an HTTP request to an HTTPS server"]).collect();
    let mut told = false;
    for config in &evidence.read().kubeconfigs {
        for cluster in &config.clusters {
            let Some(server) = &cluster.server else { continue };
            let value = server.value.trim();
            let plain = value.strip_prefix("http://");
            let tls = plain.is_some_and(|rest| rest.contains(":6443")) && (cluster.authority.is_some() || !messages.is_empty());
            if !(tls || !value.contains("://") && !value.is_empty()) {
                continue;
            }
            let place = Place::Text { item: config.item, span: server.span.clone() };
            let cause = if tls {
                format!("the server of the cluster {} is {value}, but it speaks TLS", cluster.name.value)
            } else {
                format!("the server of the cluster {} is {value}, without a scheme", cluster.name.value)
            };
            let finding = findings.proven(place, cause);
            if !tls && messages.is_empty() {
                finding.severity(Severity::Warning);
            }
            for message in &messages {
                finding.message(message);
            }
            told = true;
            let new = format!("https://{}", plain.unwrap_or(value));
            let known = cluster.authority.is_some() || cluster.insecure || tls;
            let fix = if known { Fix::safe(format!("write {new}")) } else { Fix::review(format!("write {new}")) };
            finding.fix(fix.edit(config.item, server.span.clone(), new));
        }
    }
    if let Some(first) = messages.first().filter(|_| !told) {
        let place = Place::Machine { node: first.node.clone(), what: "server of the kubeconfig".to_owned() };
        let finding = findings.proven(place, "the server address in the kubeconfig lacks https://");
        for message in &messages {
            finding.message(message);
        }
        finding.fix(Fix::manual("write the scheme").step("kubectl config set-cluster NAME --server=https://…"));
    }
}
