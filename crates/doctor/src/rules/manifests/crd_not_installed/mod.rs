//! A kind of a foreign group that the server does not know.

use super::places;
use super::removed::{self, NoMatch, Reason};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0505",
    key: "crd-not-installed",
    title: "kind is not known: its CRD is not installed",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let mut told: Vec<NoMatch> = Vec::new();
    for message in read.failures() {
        for no_match in removed::no_matches(&message.text) {
            let same = |known: &NoMatch| known.kind == no_match.kind && known.version == no_match.version;
            if removed::reason(&no_match.version, &no_match.kind) != Reason::Foreign || told.iter().any(same) {
                continue;
            }
            of_message(evidence, &no_match, findings);
            told.push(no_match);
        }
        if let Some(resource) = message.text.split("the server doesn't have a resource type ").nth(1) {
            let resource = resource.trim_matches(['"', ' ']);
            if kinds::schema::resources().iter().any(|one| one.plural == resource || one.singular == resource) {
                continue;
            }
            let cause = format!("the server has no resource `{resource}`: its CRD is not installed, or the name is misspelt");
            let finding = findings.likely(places::object("CustomResourceDefinition", "", resource, ""), cause);
            finding.message(message);
            finding.fix(Fix::manual("install what brings the CRD, or correct the name").step("kubectl api-resources"));
        }
    }
}

fn of_message(evidence: &Evidence, no_match: &NoMatch, findings: &mut Findings<'_>) {
    let (kind, group) = (&no_match.kind, no_match.group());
    let read = evidence.read();
    let name = format!("{}.{group}", plural(kind));
    let other = read.existing.iter().find(|one| one.kind == "CustomResourceDefinition" && one.name == name);
    let cause = match other {
        Some(_) => format!("the CRD `{name}` is installed, but does not serve `{}`", no_match.version),
        None => format!("the CRD of {kind} (`{group}`) is not installed"),
    };
    let finding = findings.likely(places::object("CustomResourceDefinition", "", &name, ""), cause);
    for message in read.failures() {
        let about = removed::no_matches(&message.text).iter().any(|one| one.kind == *kind && one.version == no_match.version);
        if about || message.text.contains("ensure CRDs are installed") {
            finding.message(message);
        }
    }
    finding.fix(
        Fix::manual(format!("install the CRDs of `{group}` first, then what uses them"))
            .step(format!("kubectl get crd | grep {group}"))
            .step("charts often have a value for it (crds.enabled, installCRDs); wait until the CRD is Established"),
    );
}

fn plural(kind: &str) -> String {
    let lower = kind.to_lowercase();
    match lower.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ if lower.ends_with(['s', 'x']) || lower.ends_with("ch") => format!("{lower}es"),
        _ => format!("{lower}s"),
    }
}
