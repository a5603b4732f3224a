//! A blank or an invisible character in the address of the API server.

use super::client;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::Message;
use crate::text::{is_invisible, visible};

pub const RULE: Rule = Rule {
    code: "SM0405",
    key: "kubeconfig-server-whitespace",
    title: "blank or invisible character in the server address",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let messages: Vec<&Message> = client::said(evidence, &[]).filter(|message| is_about_address(&message.text)).collect();
    let mut found = false;
    for config in &evidence.read().kubeconfigs {
        for cluster in &config.clusters {
            let Some(server) = cluster.server.as_ref().filter(|server| server.value.contains(is_blank)) else { continue };
            found = true;
            let raw = &evidence.items()[config.item].text[server.span.clone()];
            // What YAML writes with a backslash has no blank of its own in the text.
            let start = raw.find(is_blank).or_else(|| raw.find('\\')).unwrap_or(0);
            let length: usize = raw[start..].chars().take_while(|mark| is_blank(*mark)).map(char::len_utf8).sum();
            let span = server.span.start + start..server.span.start + start + length;
            let place = Place::Text { item: config.item, span: span.clone() };
            let cause = format!("the server of the cluster {} is \"{}\"", cluster.name.value, visible(&server.value));
            let finding = findings.proven(place, cause);
            for message in &messages {
                finding.message(message);
            }
            finding.fix(if length > 0 {
                Fix::safe("delete it").edit(config.item, span, "")
            } else {
                Fix::manual("delete it").step(format!("kubectl config set-cluster {} --server=…", cluster.name.value))
            });
        }
    }
    for message in messages.into_iter().filter(|_| !found) {
        let Some(url) = address(&message.text) else { continue };
        let place = Place::Machine { node: message.node.clone(), what: "server of the kubeconfig".to_owned() };
        let cause = format!("the server address in the kubeconfig is \"{}\"", visible(url));
        findings.proven(place, cause).message(message).fix(
            Fix::manual("write the address anew").step("kubectl config set-cluster NAME --server=https://…"),
        );
    }
}

fn is_blank(mark: char) -> bool {
    mark.is_whitespace() || is_invisible(mark)
}

/// Words about an address that can't be read.
fn is_about_address(text: &str) -> bool {
    const WORDS: [&str; 7] = [
        "host must be a URL",
        "in host name",
        "invalid control character in URL",
        "cannot contain colon",
        "invalid port",
        "no such host",
        "unsupported protocol scheme",
    ];
    WORDS.iter().any(|words| text.contains(words)) && address(text).is_some()
}

/// An address with a blank in a message: in quotes, or as a name that was looked up.
fn address(text: &str) -> Option<&str> {
    let blank_in_name = text.contains("invalid character") && text.contains("in host name");
    let quoted = text.split('"').find(|part| {
        part.contains("://") && part.len() < 400 && (part.contains(is_blank) || part.contains("%20") || blank_in_name)
    });
    let looked_up = text.split_once("lookup ").and_then(|(_, rest)| rest.split([':', ' ']).next());
    quoted.or(looked_up.filter(|name| name.contains(is_blank)))
}
