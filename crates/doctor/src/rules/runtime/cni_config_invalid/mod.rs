//! The CNI configuration is there and can't be parsed.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::{cni, cri};
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Place, Severity};
use crate::read::{Message, same_node};
use crate::rule::{Findings, Rule};
use crate::text::Position;

pub const RULE: Rule = Rule {
    code: "SM0231",
    key: "cni-config-invalid",
    title: "CNI configuration that can't be used",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static FILE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(/[^\s:]+\.(?:conflist|conf|json))\b").ok());

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut seen: Vec<&str> = Vec::new();
    for message in read.failures().filter(|message| tells(message)) {
        let node = message.node.as_str();
        if seen.contains(&node) || read.ready(node) == Some(true) {
            continue;
        }
        seen.push(node);
        let path = FILE.as_ref().and_then(|form| form.captures(&message.text)).map(|found| found[1].to_owned());
        let path = path.or_else(|| content(evidence, node, None).map(|(_, path, _)| path));
        let shown = path.clone().unwrap_or_else(|| "/etc/cni/net.d".to_owned());
        let broken = content(evidence, node, path.as_deref());
        let place = match &broken {
            Some((item, _, Fault::At(at))) if evidence.items()[*item].origin.path().is_some() => Place::Text { item: *item, span: *at..*at },
            _ => cri::machine(node, &shown),
        };
        let cause = format!("the CNI configuration {shown} can't be used: {}", reason(&message.text));
        let finding = findings.proven(place, cause);
        finding.weigh(1).message(message);
        if let Some((item, ..)) = broken {
            finding.quote(item, 1);
        }
        explain(finding, evidence, node, &shown);
    }
    for node in cri::nodes(evidence) {
        if seen.iter().any(|other| same_node(other, &node)) || cni::missing(evidence, &node).next().is_none() {
            continue;
        }
        let Some((item, path, fault)) = content(evidence, &node, None) else { continue };
        let words = match fault {
            Fault::At(_) => "it is no complete JSON",
            Fault::Lacks(what) => what,
        };
        let finding = findings.proven(cri::machine(&node, &path), format!("the CNI configuration {path} can't be used: {words}"));
        finding.quote(item, 1).weigh(1);
        explain(finding, evidence, &node, &path);
    }
}

fn tells(message: &Message) -> bool {
    const WORDS: [&str; 9] = [
        "failed to load CNI config",
        "error parsing configuration",
        "Error loading CNI config",
        "error loading CNI config",
        "invalid cni config",
        "incompatible CNI versions",
        "invalid CIDR address",
        "no plugins in list",
        "missing 'type'",
    ];
    WORDS.iter().any(|words| message.text.contains(words)) && !message.text.contains("no network config found")
}

/// The words behind the file's name.
fn reason(text: &str) -> String {
    let rest = FILE.as_ref().and_then(|form| form.find(text)).map_or(text, |found| &text[found.end()..]);
    let rest = rest.trim_start_matches([':', ' ']);
    let end = rest.find(": invalid cni config").or_else(|| rest.find(": failed to load cni")).unwrap_or(rest.len());
    rest[..end].to_owned()
}

enum Fault {
    /// It is no JSON from here on.
    At(usize),
    /// It lacks something.
    Lacks(&'static str),
}

/// A shown configuration that can't be used: item, path, what is wrong.
fn content(evidence: &Evidence, node: &str, path: Option<&str>) -> Option<(usize, String, Fault)> {
    for (number, item) in evidence.items().iter().enumerate() {
        let source = item.origin.source();
        let Some(found) = FILE.as_ref().and_then(|form| form.captures(source)) else { continue };
        let fits = item.origin.node().is_none_or(|found| same_node(found, node));
        let file = &found[1];
        if !fits || source.contains(';') || !file.contains("cni") || path.is_some_and(|path| path != file) {
            continue;
        }
        let fault = match serde_json::from_str::<Value>(&item.text) {
            Err(error) => {
                let line = u32::try_from(error.line()).unwrap_or(1);
                let column = u32::try_from(error.column()).unwrap_or(1);
                Fault::At(Position { line, column }.offset(&item.text))
            }
            Ok(config) if !config["name"].is_string() => Fault::Lacks("it has no name"),
            Ok(config) => match config["plugins"].as_array() {
                Some(plugins) if plugins.is_empty() => Fault::Lacks("its list of plugins is empty"),
                Some(plugins) if plugins.iter().any(|plugin| !plugin["type"].is_string()) => Fault::Lacks("a plugin has no type"),
                Some(_) => continue,
                None if file.ends_with(".conflist") => Fault::Lacks("it has no list of plugins"),
                None if !config["type"].is_string() => Fault::Lacks("it has no type"),
                None => continue,
            },
        };
        return Some((number, file.to_owned(), fault));
    }
    None
}

fn explain(finding: &mut Finding, evidence: &Evidence, node: &str, path: &str) {
    cni::explain(finding, evidence, node);
    for message in evidence.read().failures().filter(|message| tells(message) && same_node(&message.node, node)) {
        finding.message(message);
    }
    let fix = Fix::manual("have the file written anew")
        .step(format!("python3 -m json.tool < {path}"))
        .step("df -h /etc   # a full disk cuts files off")
        .step("delete the file and the pod of the pod network on this node; it writes the file again");
    finding.fix(fix);
}
