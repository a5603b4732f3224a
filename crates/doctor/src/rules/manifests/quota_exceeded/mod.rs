//! A pod or object does not fit into what a ResourceQuota leaves.

use std::collections::HashSet;
use std::sync::LazyLock;

use regex::Regex;

use super::places;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::existing;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0510",
    key: "quota-exceeded",
    title: "request does not fit into the quota",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static QUOTA: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"exceeded quota: (?P<name>[^,\s]+)(?:, requested: (?P<asked>.+?), used: (?P<used>.+?), limited: (?P<limit>.+?))?$").ok()
});
static FAILED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"failed quota: (?P<name>[^:\s]+): must specify (?P<what>.+)$").ok());

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let mut told = HashSet::new();
    for message in evidence.read().failures() {
        let text = message.text.trim_end();
        let namespace = evidence.items().get(message.item).and_then(|item| existing::namespace_of(&item.origin)).unwrap_or_else(|| message.pod.0.clone());
        if let Some(found) = QUOTA.as_ref().and_then(|form| form.captures(text)) {
            let name = &found["name"];
            if !told.insert(name.to_owned()) {
                continue;
            }
            let figures = found.name("asked").map(|asked| format!(": {} asked for, {} used, {} allowed", asked.as_str(), &found["used"], &found["limit"]));
            let cause = format!("the request does not fit into the quota `{name}`{}", figures.unwrap_or_default());
            let finding = findings.proven(places::object("ResourceQuota", &namespace, name, "spec.hard"), cause);
            finding.message(message);
            finding.fix(Fix::manual("ask for less, free some of what is used, or raise the quota").step(format!("kubectl describe resourcequota {name}")));
        } else if let Some(found) = FAILED.as_ref().and_then(|form| form.captures(text)) {
            let name = &found["name"];
            let cause = format!("the quota `{name}` wants every pod to say {}", &found["what"]);
            let finding = findings.proven(places::object("ResourceQuota", &namespace, name, "spec.hard"), cause);
            finding.message(message);
            finding.fix(Fix::manual("add requests and limits to the containers, or a LimitRange with defaults to the namespace"));
        }
    }
}
