//! A manifest in an API version that this server no longer has.

mod ported;

use super::places;
use super::removed::{self, NoMatch, Reason, Removed};
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Severity};
use crate::read::Message;
use crate::read::manifest::Document;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0504",
    key: "api-version-removed",
    title: "API version was removed from Kubernetes",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let target = removed::target(evidence);
    let mut told: Vec<(String, String)> = Vec::new();
    for file in &evidence.read().manifests {
        for document in &file.documents {
            let (kind, version) = (document.top("kind"), document.top("apiVersion"));
            let known = removed::find(version, kind);
            let refused = evidence.read().failures().any(|message| names(message, kind, version));
            let early = known.is_none() && removed::is_early(version) && is_removed(document);
            if !(known.is_some_and(|known| known.gone <= target) || refused && known.is_some() || early) {
                continue;
            }
            told.push((kind.to_owned(), version.to_owned()));
            of_document(evidence, file.item, document, known, findings);
        }
    }
    for message in evidence.read().failures() {
        for no_match in removed::no_matches(&message.text) {
            if told.contains(&(no_match.kind.clone(), no_match.version.clone())) {
                continue;
            }
            if removed::reason(&no_match.version, &no_match.kind) == Reason::Removed {
                of_message(message, &no_match, findings);
            }
        }
        if message.text.contains("removed kubernetes api") || message.text.contains("removed Kubernetes API") {
            let finding = findings.likely(places::object("", "", "", ""), "the installed release holds objects of API versions that this server no longer has");
            finding.message(message).weigh(-1);
            finding.fix(release());
        }
    }
}

/// Whether the schema has the kind, but not in this version.
fn is_removed(document: &Document) -> bool {
    super::structure::schema_of(document).is_none()
        && removed::reason(document.top("apiVersion"), document.top("kind")) == Reason::Removed
}

fn names(message: &Message, kind: &str, version: &str) -> bool {
    removed::no_matches(&message.text).iter().any(|one| one.kind == kind && one.version == version)
}

fn cause(kind: &str, version: &str, known: Option<&Removed>) -> String {
    match known {
        Some(known) if known.to.is_empty() => format!("the kind {kind} was removed in Kubernetes 1.{}, and nothing takes its place", known.gone),
        Some(known) => format!("`{version}` of {kind} was removed in Kubernetes 1.{}; `{}` takes its place", known.gone, known.to),
        None => match removed::served(kind).first() {
            Some(other) => format!("`{version}` of {kind} is not served any more; `{other}` is"),
            None => format!("`{version}` of {kind} is not served any more"),
        },
    }
}

fn of_document(
    evidence: &Evidence,
    item: usize,
    document: &Document,
    known: Option<&Removed>,
    findings: &mut Findings<'_>,
) {
    let (kind, version) = (document.top("kind"), document.top("apiVersion"));
    let Some(value) = document.root.get("apiVersion") else { return };
    let finding = findings.proven(places::text(item, &value.span), cause(kind, version, known));
    let wanted = |message: &&Message| names(message, kind, version) || message.text.contains("ensure CRDs are installed");
    for message in evidence.read().failures().filter(wanted) {
        finding.message(message);
    }
    remedies(evidence, item, document, known, finding);
}

fn remedies(evidence: &Evidence, item: usize, document: &Document, known: Option<&Removed>, finding: &mut Finding) {
    let fix = known.and_then(|known| ported::fix(&evidence.items()[item].text, item, document, known));
    finding.fix(fix.unwrap_or_else(|| manual(document.top("kind"), known.map_or("", |known| known.to))));
}

fn manual(kind: &str, to: &str) -> Fix {
    match (kind, to) {
        ("PodSecurityPolicy", _) => Fix::manual("use Pod Security Standards: labels on namespaces instead of policies")
            .step("kubectl label namespace NAME pod-security.kubernetes.io/enforce=baseline"),
        (_, "") => Fix::manual("port it to what the server has").step("kubectl api-resources"),
        (_, to) => Fix::manual(format!("port it to `{to}`; some fields changed")).step(format!("kubectl explain {} --api-version={to}", kind.to_lowercase())),
    }
}

fn release() -> Fix {
    Fix::manual("use a chart with current versions; the stored release must be rewritten too")
        .step("helm plugin install https://github.com/helm/helm-mapkubeapis")
        .step("helm mapkubeapis RELEASE")
}

fn of_message(message: &Message, no_match: &NoMatch, findings: &mut Findings<'_>) {
    let NoMatch { kind, version, namespace, name } = no_match;
    let known = removed::find(version, kind);
    let finding = findings.proven(places::object(kind, namespace, name, "apiVersion"), cause(kind, version, known));
    finding.message(message);
    if message.text.contains("UPGRADE FAILED") || message.text.contains("current release manifest") {
        finding.fix(release());
    }
    finding.fix(manual(kind, known.map_or("", |known| known.to)));
}
