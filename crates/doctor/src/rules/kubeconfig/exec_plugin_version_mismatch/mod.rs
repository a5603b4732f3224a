//! The credential helper answers in another version of the exec API than the kubeconfig says.

use super::client;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::Message;

pub const RULE: Rule = Rule {
    code: "SM0412",
    key: "exec-plugin-version-mismatch",
    title: "credential helper and kubeconfig speak different versions",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let messages: Vec<&Message> = client::said(evidence, &["exec plugin is configured to use API version"]).collect();
    let Some((first, (wanted, given))) = messages.first().and_then(|first| Some((first, versions(&first.text)?))) else { return };
    let found = evidence.read().kubeconfigs.iter().find_map(|config| {
        let versions = config.users.iter().filter_map(|user| user.exec.as_ref()?.api_version.as_ref());
        Some((config.item, versions.clone().find(|version| version.value == wanted)?))
    });
    let place = match found {
        Some((item, version)) => Place::Text { item, span: version.span.clone() },
        None => Place::Machine { node: first.node.clone(), what: "kubeconfig users[].user.exec.apiVersion".to_owned() },
    };
    let finding = findings.proven(place, format!("the kubeconfig says {wanted}, but the credential helper answers in {given}"));
    for message in &messages {
        finding.message(message);
    }
    if let Some((item, version)) = found.filter(|_| !given.ends_with("v1alpha1")) {
        finding.fix(Fix::review(format!("ask for {given}")).edit(item, version.span.clone(), given));
    }
    finding.fix(Fix::manual("update the credential helper, and let it write the kubeconfig anew"));
}

/// What the file says and what the helper gave.
fn versions(text: &str) -> Option<(&str, &str)> {
    let (_, rest) = text.split_once("configured to use API version ")?;
    let (wanted, rest) = rest.split_once(',')?;
    let (_, given) = rest.split_once("returned version ")?;
    Some((wanted.trim(), given.split([' ', '"']).next().unwrap_or(given)))
}
