//! A registry URL without `http://` or `https://`.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::registry::{Role, is_plain_http};
use crate::read::{Pull, pulls, same_node};
use crate::rule::{Findings, Rule};
use crate::text::{unquoted, visible};

pub const RULE: Rule = Rule {
    code: "SM0103",
    key: "endpoint-scheme-missing",
    title: "registry URL without http:// or https://",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const WORDS: [&str; 3] = ["unsupported protocol scheme", "missing protocol scheme", "cannot contain colon"];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut seen = false;
    for url in read.registry_urls() {
        let value = url.value.value.trim_start_matches(|one: char| one.is_whitespace() || !one.is_ascii());
        if value.is_empty() || value.starts_with("http://") || value.starts_with("https://") {
            continue;
        }
        let pulls = read.pulls_meant(&url.node, &url.name);
        if url.role != Role::Endpoint && pulls.is_empty() {
            continue; // A host without a scheme is taken as https:// and may well be so.
        }
        seen = true;
        let text = &evidence.items()[url.item].text;
        let broken = ["http:/", "https:/", "http:", "https:", "http//", "https//", "//"].iter().find(|one| value.starts_with(**one));
        let characters = broken.map_or(0, |one| one.chars().count());
        let span = url.value.part(text, 0, characters);
        let span = if characters == 0 { span.start..span.start } else { span };
        let place = Place::Text { item: url.item, span: url.value.part(text, 0, usize::MAX) };
        let plain = pulls.iter().any(|pull| is_plain_http(pull)) || broken.is_some_and(|one| one.starts_with("http") && !one.starts_with("https"));
        let finding = findings.proven(place, format!("{} is \"{}\", without a scheme", url.whose(), visible(value)));
        pulls::explain(finding, &read.messages, &pulls);
        if pulls.is_empty() {
            finding.severity(Severity::Warning);
        }
        // The evidence decides which scheme it is, or a person does.
        let fix = if plain { Fix::safe("write http://").edit(url.item, span, "http://") } else { Fix::review("write https://, or http:// if the registry has no TLS").edit(url.item, span, "https://") };
        finding.weigh(1).fix(url.finish(fix));
    }
    if !seen {
        from_words(evidence, findings);
    }
}

fn from_words(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let speaks = |pull: &&Pull| WORDS.iter().any(|words| pull.says(words));
    for pull in read.pulls.iter().filter(speaks) {
        let quoted = |before: &str| pull.text.split_once(before).and_then(|(_, rest)| rest.split('"').next());
        let url: &str = quoted("parse \"").or_else(|| quoted("Head \"")).or_else(|| quoted("Get \"")).unwrap_or_default();
        let has_scheme = url.trim_start().starts_with("http");
        let url = unquoted(url);
        let blank = url.contains([' ', '\t', '\r']) || !url.is_ascii() || url.contains('%');
        let shown = read.configs.iter().any(|one| same_node(&one.node, &pull.node) && one.toml.is_ok());
        if has_scheme || blank || shown {
            continue;
        }
        let host = url.split("/v2/").next().unwrap_or_default().trim_end_matches([':', '/']);
        let place = Place::Machine { node: pull.node.clone(), what: "/etc/containerd/config.toml".to_owned() };
        let finding = findings.proven(place, format!("containerd was given \"{}\" as a registry URL, without a scheme", visible(host)));
        let fix = Fix::manual("write http:// or https:// in front of the endpoint")
            .step("grep -n 'endpoint' /etc/containerd/config.toml")
            .step("systemctl restart containerd");
        pulls::explain(finding, &read.messages, &[pull]);
        finding.weigh(1).fix(fix);
    }
}
