//! A key of the mirrors table that is a URL, where containerd looks for the bare host and port.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::pulls;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0109",
    key: "scheme-in-mirror-key",
    title: "URL as the key of a mirror entry",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for config in &read.configs {
        let text = &evidence.items()[config.item].text;
        for key in config.mirrors().into_iter().map(|mirror| mirror.key) {
            let Some((scheme, rest)) = key.value.split_once("://") else { continue };
            let length = scheme.chars().count() + 3;
            let place = Place::Text { item: config.item, span: key.part(text, 0, length) };
            let cause = format!("the key is the URL `{}`; the host of an image never has a scheme", key.value);
            let finding = findings.proven(place, cause);
            pulls::explain(finding, &read.messages, &read.pulls_meant(&config.node, &key.value));
            let mut fix = Fix::safe("leave only host and port").edit(config.item, key.part(text, 0, length), "");
            if let Some(slash) = rest.find('/') {
                let from = length + rest[..slash].chars().count();
                fix = fix.edit(config.item, key.part(text, from, usize::MAX), "");
            }
            finding.weigh(1).fix(fix.restart("containerd"));
        }
    }
}
