//! A pod asks a secret for a key that it does not have.

use std::sync::LazyLock;

use regex::Regex;

use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::near::nearest;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0607",
    key: "secret-key-missing",
    title: "secret lacks the key that a pod asks for",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static KEY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"couldn't find key (?P<key>\S+) in Secret (?P<ns>[^/\s]*)/(?P<name>[^\s,]+)|references non-existent secret key: (?P<file>[^\s,]+)"#).ok()
});

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let failures = read.failures().filter_map(|message| {
        let found = KEY.as_ref()?.captures(&message.text)?;
        let part = |name: &str| found.name(name).map(|part| part.as_str().to_owned());
        let key = part("key").or_else(|| part("file"))?;
        Some(((part("ns").unwrap_or_else(|| message.pod.0.clone()), part("name").unwrap_or_default(), key), message))
    });
    for ((namespace, name, key), messages) in subjects::grouped(failures) {
        let mut same = read.existing.iter().filter(|one| {
            one.kind == "Secret" && (name.is_empty() || one.name == name) && one.keys.is_some()
        });
        let keys = same.next().and_then(|one| one.keys.clone()).unwrap_or_default();
        let what = subjects::named(&namespace, &name, "that the pod mounts");
        let cause = format!("the secret {what} has no key `{key}`");
        let near = nearest(&key, keys.iter().map(String::as_str))
            .or_else(|| keys.iter().map(String::as_str).find(|known| known.to_lowercase().contains(&key.to_lowercase())));
        let finding = findings.proven(subjects::object("Secret", &namespace, &name, format!("data[{key}]")), cause);
        for message in messages {
            finding.message(message);
        }
        if !keys.is_empty() {
            finding.note(format!("it has {}", keys.join(", ")));
        }
        let title = match near {
            Some(near) => format!("ask for the key `{near}`"),
            None => "correct the key in the pod's template, or add it".to_owned(),
        };
        let namespace = subjects::in_namespace(&namespace);
        finding.fix(Fix::manual(title).step(format!("kubectl describe secret {name}{namespace}")));
    }
}
