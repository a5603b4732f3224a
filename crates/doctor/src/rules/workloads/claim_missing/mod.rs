//! A pod names a PersistentVolumeClaim that is not there.

use std::sync::LazyLock;

use regex::Regex;

use super::subjects;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0659",
    key: "claim-missing",
    title: "volume claim that a pod uses does not exist",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static NOT_FOUND: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)persistentvolumeclaim "(?P<name>[^"]+)" (?:not found|is being deleted)"#).ok()
});

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let missing = read.failures().filter_map(|message| {
        let name = NOT_FOUND.as_ref()?.captures(&message.text)?["name"].to_owned();
        Some(((message.pod.0.clone(), name), message))
    });
    for ((namespace, name), messages) in subjects::grouped(missing) {
        let leaving = messages.iter().all(|message| message.text.contains("being deleted"));
        let what = if leaving { "is being deleted" } else { "does not exist" };
        let whose = subjects::pods_of(&messages);
        let cause = format!("{whose} uses the volume claim `{name}`, which {what}");
        let finding = findings.proven(subjects::object("PersistentVolumeClaim", &namespace, &name, ""), cause);
        for message in &messages {
            finding.message(message);
        }
        let namespace = subjects::in_namespace(&namespace);
        finding.fix(
            Fix::manual("create the claim, or correct its name in the pod's template")
                .step(format!("kubectl get pvc{namespace}"))
                .step("claims belong to a namespace: one of another namespace does not count"),
        );
    }
}
