//! A kubeconfig that is no valid YAML.

use super::client;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::{Kubeconfig, Message};
use crate::text::Position;

pub const RULE: Rule = Rule {
    code: "SM0404",
    key: "kubeconfig-yaml-invalid",
    title: "kubeconfig is no valid YAML",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let messages: Vec<&Message> = client::said(evidence, &[]).filter(|message| is_about_form(&message.text)).collect();
    let mut told: Vec<usize> = Vec::new();
    for config in &evidence.read().kubeconfigs {
        let about = |message: &&&Message| message.text.contains(&config.path) || !message.text.contains('/') || messages.len() == 1;
        let about: Vec<&Message> = messages.iter().filter(about).copied().collect();
        let text = &evidence.items()[config.item].text;
        let (at, why) = match (&config.refused, about.first()) {
            (Some(refused), _) => (start(text, refused.span.start, &refused.message), refused.message.clone()),
            // Our reader takes it, theirs does not.
            (None, Some(message)) if is_alone(evidence, config) => (of_line(text, message), words(&message.text)),
            _ => continue,
        };
        let line = Position::of(text, at).line;
        let place = Place::Text { item: config.item, span: at..at };
        let finding = findings.proven(place, format!("line {line} of {} is no valid YAML: {why}", config.path));
        finding.quote(config.item, line);
        for message in about {
            finding.message(message);
            told.push(message.number);
        }
        finding.fix(fix(&config.path, line));
    }
    for message in messages.iter().filter(|message| !told.contains(&message.number)) {
        let path = message.quoted_after("config file").unwrap_or("the kubeconfig").to_owned();
        let place = Place::Machine { node: message.node.clone(), what: path.clone() };
        let finding = findings.proven(place, format!("{path} is no valid YAML: {}", words(&message.text)));
        finding.message(message).fix(fix(&path, line_of(&message.text).unwrap_or(1)));
    }
}

fn is_about_form(text: &str) -> bool {
    let about = ["loading config file", "kubeconfig", "ubernetes cluster unreachable", ".kube/config"];
    let wrong = ["yaml: line", "yaml: unmarshal", "yaml: did not", "yaml: control char", "cannot unmarshal", "json parse error", "yaml: mapping", "yaml: found", "yaml: invalid"];
    about.iter().any(|word| text.contains(word)) && wrong.iter().any(|word| text.contains(word))
}

fn is_alone(evidence: &Evidence, config: &Kubeconfig) -> bool {
    client::beside(evidence, config).count() == 1
}

/// What the client found wrong.
fn words(text: &str) -> String {
    let at = text.find("yaml: ").or_else(|| text.find("json: ")).or_else(|| text.find("json parse")).unwrap_or(0);
    text[at..].trim_start_matches("yaml: ").trim().to_owned()
}

fn line_of(text: &str) -> Option<u32> {
    let (_, rest) = text.split_once("yaml: line ")?;
    rest.split(|end: char| !end.is_ascii_digit()).next()?.parse().ok()
}

/// The line that a message names: its first character, or a tab in it.
fn of_line(text: &str, message: &Message) -> usize {
    let line = line_of(&message.text).unwrap_or(1);
    let start = Position { line, column: 1 }.offset(text);
    let rest = text[start..].lines().next().unwrap_or_default();
    start + rest.find('\t').unwrap_or(rest.len() - rest.trim_start().len())
}

/// Where it is wrong: a quote that is never closed is told where it opens, indentation where the line's text begins.
fn start(text: &str, at: usize, why: &str) -> usize {
    if why.contains("tab") {
        let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
        let tab = text[line..].find('\t').map(|tab| line + tab);
        return tab.unwrap_or(at);
    }
    at
}

fn fix(path: &str, line: u32) -> Fix {
    Fix::manual(format!("correct line {line} of {path}")).step(format!("vi +{line} {path}"))
}
