//! A blank or tab inside the quotes of a registry URL.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::pulls;
use crate::rule::{Findings, Rule};
use crate::text::{unquoted, visible};

pub const RULE: Rule = Rule {
    code: "SM0101",
    key: "endpoint-surrounding-whitespace",
    title: "blank in a registry URL",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn is_blank(character: char) -> bool {
    character == ' ' || character == '\t'
}

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut seen = false;
    for url in read.registry_urls() {
        let Some(span) = url.value.run(&evidence.items()[url.item].text, is_blank) else { continue };
        seen = true;
        let place = Place::Text { item: url.item, span: span.clone() };
        let finding = findings.proven(place, format!("{} is \"{}\"", url.whose(), visible(&url.value.value)));
        pulls::explain(finding, &read.messages, &read.pulls_meant(&url.node, &url.name));
        for message in read.failing(&["failed to decode ", "hosts.toml", url.value.value.trim()]) {
            finding.message(message);
        }
        finding.weigh(2).fix(url.finish(Fix::safe("delete the blank").edit(url.item, span, "")));
    }
    if !seen {
        from_words(evidence, findings);
    }
}

/// Where no file is in the evidence, the words alone decide: they quote the URL.
fn from_words(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for message in read.failures() {
        let hosts = message.decodes_hosts();
        let words = message.text.replace("\\\"", "\"");
        let quoted = words.split_once("parse \"").and_then(|(_, rest)| rest.split('"').next());
        let Some(url) = quoted.map(unquoted) else { continue };
        let about_registry = hosts || words.contains("endpoint url") || words.contains("resolve reference");
        if !about_registry || !url.contains(is_blank) || url.contains('%') {
            continue;
        }
        let shown = read.configs.iter().any(|one| crate::read::same_node(&one.node, &message.node) && one.toml.is_ok());
        if shown && !hosts {
            continue; // The file no longer has it: containerd runs with an earlier one.
        }
        let file = if hosts { "a hosts.toml under /etc/containerd/certs.d" } else { "/etc/containerd/config.toml" };
        let place = Place::Machine { node: message.node.clone(), what: file.to_owned() };
        let finding = findings.proven(place, format!("containerd was given the registry URL \"{}\"", visible(&url)));
        let fix = Fix::manual("delete the blank inside the quotes of the URL")
            .step(format!("grep -nE '\"[[:blank:]]|[[:blank:]]\"' {}", if hosts { "/etc/containerd/certs.d/*/hosts.toml" } else { file }));
        let fix = if hosts { fix } else { fix.step("systemctl restart containerd") };
        finding.weigh(2).message(message).fix(fix);
    }
}
