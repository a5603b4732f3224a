//! `current-context` or `--context` names a context that is not there.

use super::client;
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::toml::Spanned;
use crate::read::{Kubeconfig, Message};
use crate::near;

pub const RULE: Rule = Rule {
    code: "SM0403",
    key: "kubeconfig-context-missing",
    title: "context is not in the kubeconfig",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const WORDS: [&[&str]; 6] = [
    &["context \"", "\" does not exist"],
    &["context was not found for specified context"],
    &["no context exists with the name"],
    &["current-context is not set"],
    &["cannot find context"],
    &["context \"", "\" not found"],
];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut messages: Vec<&Message> = Vec::new();
    for words in WORDS {
        let known: Vec<usize> = messages.iter().map(|message| message.number).collect();
        messages.extend(client::said(evidence, words).filter(|message| !known.contains(&message.number)));
    }
    for config in evidence.read().kubeconfigs.iter().filter(|config| client::complete(evidence, config)) {
        let Some(current) = &config.current else { continue };
        if client::beside(evidence, config).any(|other| other.context(&current.value).is_some()) {
            continue;
        }
        let about: Vec<&Message> =
            messages.iter().copied().filter(|message| message.text.contains(&current.value)).collect();
        in_file(evidence, findings, config, current, &about);
        messages.retain(|message| !message.text.contains(&current.value));
    }
    for message in messages {
        let name = named(message);
        let place = Place::Machine { node: message.node.clone(), what: format!("kubeconfig context {name}") };
        let cause = if name.is_empty() {
            "no context is chosen in the kubeconfig".to_owned()
        } else {
            format!("the kubeconfig has no context {name}")
        };
        let finding = findings.proven(place, cause);
        finding.message(message);
        let names = names(evidence);
        if !names.is_empty() {
            finding.note(format!("it has {}", names.join(", ")));
        }
        near(finding, &name, &names, None);
    }
}

fn in_file(
    evidence: &Evidence,
    findings: &mut Findings<'_>,
    config: &Kubeconfig,
    current: &Spanned<String>,
    messages: &[&Message],
) {
    let place = Place::Text { item: config.item, span: current.span.clone() };
    let finding = findings.proven(place, format!("current-context is {}, which the file does not have", current.value));
    for message in messages {
        finding.message(message);
    }
    near(finding, &current.value, &names(evidence), Some((config.item, current)));
}

fn near(finding: &mut Finding, wrong: &str, names: &[&str], place: Option<(usize, &Spanned<String>)>) {
    let near = near::nearest(wrong, names.iter().copied()).or(names.first().copied().filter(|_| names.len() == 1));
    finding.fix(match (near, place) {
        (Some(near), Some((item, current))) => {
            Fix::review(format!("choose the context {near}")).edit(item, current.span.clone(), near)
        }
        (near, _) => Fix::manual("choose a context that is there")
            .step("kubectl config get-contexts")
            .step(format!("kubectl config use-context {}", near.unwrap_or("NAME"))),
    });
}

/// The name in a message.
fn named(message: &Message) -> String {
    if let Some((_, name)) = message.text.split_once("for specified context: ") {
        return name.trim_matches([' ', '"', ']']).to_owned();
    }
    message.quoted_after("context").or(message.quoted_after("name")).unwrap_or_default().to_owned()
}

/// Contexts that there are.
fn names(evidence: &Evidence) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for config in &evidence.read().kubeconfigs {
        names.extend(config.contexts.iter().map(|context| context.name.value.as_str()));
    }
    names.extend(client::table_of_contexts(evidence).into_iter().map(|told| told.name));
    let lists = evidence.items().iter().filter(|item| {
        item.origin.source().contains("get-contexts") && !item.text.contains("CURRENT") && !item.text.contains("rror:")
    });
    names.extend(lists.flat_map(|item| item.text.lines()).map(str::trim).filter(|line| !line.is_empty()));
    names
}
