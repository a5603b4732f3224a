//! A character that can't be seen in a registry URL, or one that makes the file with it unreadable.

use std::ops::Range;

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::toml::Refused;
use crate::read::{pulls, same_node};
use crate::rule::{Findings, Rule};
use crate::text::{Position, is_invisible, unquoted, visible};

pub const RULE: Rule = Rule {
    code: "SM0102",
    key: "endpoint-invisible-character",
    title: "invisible character in a registry URL",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn is_hidden(character: char) -> bool {
    is_invisible(character) && character != '\t'
}

/// Characters that names of hosts lose on the way, wherever they stand.
fn is_dropped(character: char) -> bool {
    matches!(character, '\u{00ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}')
}

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut seen = in_urls(evidence, findings);
    let read = evidence.read();
    let configs = read.configs.iter().filter_map(|one| Some((one.item, &one.node, one.toml.as_ref().err()?, true)));
    let hosts = read.hosts.iter().filter_map(|one| Some((one.item, &one.node, one.toml.as_ref().err()?, false)));
    for (item, node, refused, is_config) in configs.chain(hosts) {
        seen |= unreadable(evidence, findings, item, node, refused, is_config);
    }
    if !seen {
        from_words(evidence, findings);
    }
}

fn in_urls(evidence: &Evidence, findings: &mut Findings<'_>) -> bool {
    let read = evidence.read();
    let mut seen = false;
    for url in read.registry_urls() {
        let Some(span) = url.value.run(&evidence.items()[url.item].text, is_hidden) else { continue };
        seen = true;
        let place = Place::Text { item: url.item, span: span.clone() };
        let finding = findings.proven(place, format!("{} is \"{}\"", url.whose(), visible(&url.value.value)));
        let pulls = read.pulls_meant(&url.node, &url.name);
        pulls::explain(finding, &read.messages, &pulls);
        let host = url.value.value.split_once("://").map_or("", |(_, rest)| rest.split([':', '/']).next().unwrap_or_default());
        let elsewhere = url.value.value.replacen(host, "", 1).contains(is_hidden);
        let harmless = !elsewhere && host.chars().filter(|one| is_hidden(*one)).all(is_dropped);
        if harmless && pulls.is_empty() {
            finding.severity(Severity::Note).note("in the name of a host it is dropped before the name is looked up");
        }
        finding.weigh(2).fix(url.finish(Fix::safe("delete the invisible character").edit(url.item, span, "")));
    }
    seen
}

/// A file that can't be read because of such a character in the line that is complained of.
fn unreadable(
    evidence: &Evidence,
    findings: &mut Findings<'_>,
    item: usize,
    node: &str,
    refused: &Refused,
    is_config: bool,
) -> bool {
    let text = &evidence.items()[item].text;
    let Some(span) = hidden_near(text, refused.position.line) else { return false };
    let character = visible(&text[span.clone()]);
    let line = Position::of(text, span.start).line;
    let place = Place::Text { item, span: span.clone() };
    let indents = text[..span.start].rsplit('\n').next().is_some_and(|before| before.trim().is_empty());
    let what = if is_config { "containerd can't start with this file" } else { "this file can't be read" };
    let finding = findings.proven(place, format!("line {line} holds the character {character}, so {what}"));
    for message in evidence.read().failures().filter(|message| same_node(&message.node, node)) {
        let start = message.text.contains("failed to load TOML") || message.text.contains("failed to unmarshal TOML");
        let hosts = message.decodes_hosts();
        if (is_config && start) || (!is_config && hosts) {
            finding.message(message);
        }
    }
    let new = if indents { " ".repeat(text[span.clone()].chars().count()) } else { String::new() };
    let title = if indents { "indent with plain blanks" } else { "delete the invisible character" };
    let fix = Fix::safe(title).edit(item, span, new);
    finding.weigh(3).fix(if is_config { fix.restart("containerd") } else { fix });
    true
}

/// The first run of such characters in a line; a line's own end does not count.
fn hidden_near(text: &str, line: u32) -> Option<Range<usize>> {
    let start = Position { line, column: 1 }.offset(text);
    let found = text.get(start..)?.split('\n').next().unwrap_or_default().trim_end_matches('\r');
    let from = found.char_indices().find(|(at, one)| is_hidden(*one) && !(start + at == 0 && *one == '\u{feff}'))?.0;
    let length = found[from..].find(|one| !is_hidden(one)).unwrap_or(found.len() - from);
    Some(start + from..start + from + length)
}

/// Where no file is in the evidence: the words quote the URL or name the character.
fn from_words(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for message in read.failures() {
        let words = message.text.replace("\\\"", "\"");
        let quoted = |before: &str| words.split_once(before).and_then(|(_, rest)| rest.split('"').next());
        let urls = ["parse \"", "Head \"", "Get \""].iter().filter_map(|before| quoted(before)).map(unquoted);
        let url = urls.into_iter().find(|url| {
            let path = url.split_once("/v2/").map_or(url.as_str(), |(host, _)| host);
            path.contains(is_hidden) || ["%E2%80%", "%C2%A0", "%EF%BB%BF"].iter().any(|code| path.contains(code))
        });
        let about_registry = words.contains("endpoint url") || words.contains("/v2/") || words.contains("hosts.toml");
        let toml = words.contains("load TOML") || words.contains("unmarshal TOML") || words.contains("decode hosts.toml");
        let file = toml && (words.contains("U+000D") || words.contains("cannot contain \u{a0}"));
        let cause = match url.filter(|_| about_registry) {
            Some(url) => format!("containerd was given the registry URL \"{}\"", visible(&url)),
            None if file => "the file holds a character that can't be seen where TOML has none".to_owned(),
            None => continue,
        };
        let shown = read.configs.iter().any(|one| same_node(&one.node, &message.node));
        if shown {
            continue;
        }
        let what = if words.contains("hosts.toml") { "a hosts.toml under /etc/containerd/certs.d" } else { "/etc/containerd/config.toml" };
        let place = Place::Machine { node: message.node.clone(), what: what.to_owned() };
        let fix = Fix::manual("type the line anew")
            .step("cat -A /etc/containerd/config.toml | grep -nE 'M-|\\^M'")
            .step("systemctl restart containerd");
        findings.proven(place, cause).weigh(2).message(message).fix(fix);
    }
}
