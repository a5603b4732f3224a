//! A blank or tab inside the quotes of a registry URL.

use std::ops::Range;

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::toml::Spanned;
use crate::text::visible;

pub const RULE: Rule = Rule {
    code: "SM0101",
    key: "endpoint-surrounding-whitespace",
    title: "blank in a registry URL",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for config in &evidence.read().configs {
        for mirror in config.mirrors() {
            for endpoint in &mirror.endpoints {
                let name = format!("the mirror of `{}`", visible(&mirror.key.value));
                report(evidence, findings, config.item, endpoint, &name, Some("containerd"));
            }
        }
    }
    for file in &evidence.read().hosts {
        for host in file.hosts() {
            report(evidence, findings, file.item, &host.url, "this host", None);
        }
        if let Some(server) = file.server() {
            report(evidence, findings, file.item, &server, "the server", None);
        }
    }
}

fn report(
    evidence: &Evidence,
    findings: &mut Findings<'_>,
    item: usize,
    url: &Spanned<String>,
    whose: &str,
    restart: Option<&str>,
) {
    let value = &url.value;
    let blank = |character: char| character == ' ' || character == '\t';
    if !value.contains(blank) {
        return;
    }
    let span = blanks(&evidence.items()[item].text, &url.span);
    let place = Place::Text { item, span: span.clone() };
    let finding = findings.proven(place, format!("the URL of {whose} is \"{}\"", visible(value)));
    for message in evidence.read().failing(&[value.trim()]) {
        finding.message(message);
    }
    let mut fix = Fix::safe("delete the blank").edit(item, span, "");
    if let Some(unit) = restart {
        fix = fix.restart(unit);
    }
    finding.fix(fix);
}

/// The first run of blanks inside the quotes of a value.
fn blanks(text: &str, span: &Range<usize>) -> Range<usize> {
    let raw = &text[span.clone()];
    let start = raw.find([' ', '\t']).unwrap_or(0);
    let length = raw[start..].len() - raw[start..].trim_start_matches([' ', '\t']).len();
    span.start + start..span.start + start + length
}
