//! The pull secret holds credentials for another host, so that the pull goes out without any.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::Answer;
use crate::read::pulls::{explain, grouped};
use crate::read::secrets::{Access, access};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0138",
    key: "pull-secret-wrong-host",
    title: "pull secret is for another registry",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let denied = read.pulls.iter().filter(|pull| pull.answer == Answer::Denied);
    for (registry, pulls) in grouped(denied, |pull| pull.registry().to_owned()) {
        let Some(first) = pulls.first() else { continue };
        let Access::OtherHost(entry) = access(evidence, first) else { continue };
        let secret = if entry.secret.is_empty() { "the pull secret".to_owned() } else { format!("secret `{}`", entry.secret) };
        let cause = format!("{secret} has credentials for `{}`, and the image is on `{registry}`", entry.key);
        let place = Place::Text { item: entry.item, span: entry.span };
        let finding = findings.proven(place, cause);
        explain(finding, &read.messages, &pulls);
        let name = if entry.secret.is_empty() { "NAME" } else { entry.secret.as_str() };
        let namespace = if first.pod.0.is_empty() { "NAMESPACE" } else { first.pod.0.as_str() };
        finding.fix(Fix::manual("create the secret anew for the image's registry").step(format!(
            "kubectl create secret docker-registry {name} -n {namespace} --docker-server={registry} --docker-username=… --docker-password=…"
        )));
    }
}
