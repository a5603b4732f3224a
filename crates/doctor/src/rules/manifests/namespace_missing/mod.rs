//! Something is to be created in a namespace that does not exist.

use std::sync::LazyLock;

use regex::Regex;

use super::places;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::near::nearest;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0509",
    key: "namespace-missing",
    title: "namespace does not exist",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

static MISSING: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"namespaces? "([^"]+)" not found"#).ok());

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    for message in read.failures() {
        let Some(found) = MISSING.as_ref().and_then(|form| form.captures(&message.text)) else { continue };
        let name = &found[1];
        let finding = findings.proven(places::object("Namespace", "", name, ""), format!("the namespace `{name}` does not exist"));
        finding.message(message);
        let known = read.existing.iter().filter(|one| one.kind == "Namespace").map(|one| one.name.as_str());
        if let Some(near) = nearest(name, known) {
            finding.note(format!("there is `{near}`"));
        }
        let made = read.manifests.iter().flat_map(|file| &file.documents).any(|one| one.top("kind") == "Namespace" && one.name() == name);
        if made {
            finding.note("a manifest makes it; it must come before what lies in it");
        }
        finding.fix(Fix::manual("create the namespace first").step(format!("kubectl create namespace {name}")).step("helm install … --create-namespace"));
    }
}
