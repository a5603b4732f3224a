//! ConfigMaps and Secrets that pods use and that are not there, and keys that are not in them.

use std::sync::LazyLock;

use regex::Regex;

use super::references::{self, Known};
use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix};
use crate::near::nearest;
use crate::read::{Message, Read};
use crate::rule::Findings;

/// What is looked for.
pub(super) struct Sort {
    kind: &'static str,
    /// kubectl's name of it.
    word: &'static str,
    /// What follows `kubectl create`.
    create: &'static str,
    /// The kubelet's word for it when a volume lacks a key.
    file: &'static str,
}

pub(super) const SECRET: Sort = Sort { kind: "Secret", word: "secret", create: "secret generic", file: "secret" };
pub(super) const CONFIG_MAP: Sort = Sort { kind: "ConfigMap", word: "configmap", create: "configmap", file: "config" };

static KEY: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"couldn't find key (?P<key>\S+) in (?P<kind>Secret|ConfigMap) (?P<ns>[^/\s]*)/(?P<name>[^\s,]+)|references non-existent (?P<word>secret|config) key: (?P<file>[^\s,]+)",
    )
    .ok()
});

/// Reports objects of this sort that pods use and that do not exist.
pub(super) fn objects(evidence: &Evidence, findings: &mut Findings<'_>, sort: &Sort) {
    let read = evidence.read();
    let failures = read.failures().filter_map(|message| {
        let mut missing = references::missing(message).filter(|missing| missing.kind == sort.kind)?;
        if missing.namespace.is_empty() {
            missing.namespace = references::namespace_of(read, message).unwrap_or_default();
        }
        // What a tool says when it is asked is no pod's trouble; see `Known::Absent`.
        (!message.text.starts_with("Error from server")).then_some((missing, message))
    });
    for (missing, messages) in subjects::grouped(failures) {
        let known = missing.known(read, messages.iter().filter_map(|message| message.age).min());
        if matches!(known, Known::Exists | Known::Made) {
            continue;
        }
        let name = subjects::named(&missing.namespace, &missing.name, "it");
        let cause = format!("the {} {name}, which {} uses, does not exist", sort.word, subjects::pods_of(&messages));
        let place = subjects::object(sort.kind, &missing.namespace, &missing.name, "");
        let finding =
            if known == Known::Absent { findings.proven(place, cause) } else { findings.likely(place, cause) };
        for message in messages {
            finding.message(message);
        }
        symptoms(read, finding);
        if let Some(other) = missing.elsewhere(read).filter(|other| *other != missing.namespace) {
            finding.note(format!("there is one of that name in the namespace `{other}`; pods see only their own"));
        }
        if let Some(near) = missing.near(read) {
            finding.note(format!("there is `{near}`"));
        }
        let namespace = subjects::in_namespace(&missing.namespace);
        finding.fix(
            Fix::manual("create it, or correct the name in the pod's template")
                .step(format!("kubectl get {}s{namespace}", sort.word))
                .step(format!("kubectl create {} {}{namespace} …", sort.create, missing.name)),
        );
    }
}

/// Time-outs of the same mount are no trouble of their own.
fn symptoms(read: &Read, finding: &mut Finding) {
    let items: Vec<usize> = finding.quotes.iter().map(|quote| quote.item).collect();
    let timed_out = |message: &&Message| message.text.contains("nmounted volumes=") && items.contains(&message.item);
    for message in read.failures().filter(timed_out) {
        finding.message(message);
    }
}

/// Reports keys that pods ask objects of this sort for and that are not in them.
pub(super) fn keys(evidence: &Evidence, findings: &mut Findings<'_>, sort: &Sort) {
    let read = evidence.read();
    let failures = read.failures().filter_map(|message| {
        let found = KEY.as_ref()?.captures(&message.text)?;
        let kind = found.name("kind").or_else(|| found.name("word"))?.as_str();
        if !sort.kind.eq_ignore_ascii_case(kind) && kind != sort.file {
            return None;
        }
        let part = |name: &str| found.name(name).map(|part| part.as_str().to_owned());
        let key = part("key").or_else(|| part("file"))?;
        Some(((part("ns").unwrap_or_else(|| message.pod.0.clone()), part("name").unwrap_or_default(), key), message))
    });
    for ((namespace, name, key), messages) in subjects::grouped(failures) {
        let mut same = read
            .existing
            .iter()
            .filter(|one| one.kind == sort.kind && (name.is_empty() || one.name == name) && one.keys.is_some());
        let keys = same.next().and_then(|one| one.keys.clone()).unwrap_or_default();
        let what = subjects::named(&namespace, &name, "that the pod mounts");
        let cause = format!("the {} {what} has no key `{key}`", sort.word);
        let near = nearest(&key, keys.iter().map(String::as_str)).or_else(|| {
            keys.iter().map(String::as_str).find(|known| known.to_lowercase().contains(&key.to_lowercase()))
        });
        let finding = findings.proven(subjects::object(sort.kind, &namespace, &name, format!("data[{key}]")), cause);
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
        finding.fix(Fix::manual(title).step(format!("kubectl describe {} {name}{namespace}", sort.word)));
    }
}
