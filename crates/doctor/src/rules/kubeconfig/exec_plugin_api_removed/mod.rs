//! The kubeconfig asks for `client.authentication.k8s.io/v1alpha1`, which clients since 1.24 do not know.

use super::client;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::Message;

pub const RULE: Rule = Rule {
    code: "SM0411",
    key: "exec-plugin-api-removed",
    title: "kubeconfig asks for an exec API that clients no longer have",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const OLD: &str = "client.authentication.k8s.io/v1alpha1";

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let messages: Vec<&Message> = client::said(evidence, &[OLD])
        .filter(|message| message.text.contains("invalid apiVersion") || message.text.contains("no kind"))
        .collect();
    let mut told = false;
    for config in &evidence.read().kubeconfigs {
        for user in &config.users {
            let Some(version) = user.exec.as_ref().and_then(|exec| exec.api_version.as_ref()) else { continue };
            if version.value != OLD {
                continue;
            }
            let place = Place::Text { item: config.item, span: version.span.clone() };
            let cause = format!("the credential helper of the user {} is asked for {OLD}, which clients since 1.24 do not know", user.name.value);
            let finding = findings.proven(place, cause);
            for message in &messages {
                finding.message(message);
            }
            let edit = Fix::review("ask for v1beta1, if the helper knows it").edit(
                config.item,
                version.span.clone(),
                "client.authentication.k8s.io/v1beta1",
            );
            finding.fix(edit).fix(fix());
            told = true;
        }
    }
    for message in messages.into_iter().filter(|_| !told) {
        let place = Place::Machine { node: message.node.clone(), what: "kubeconfig users[].user.exec.apiVersion".to_owned() };
        let cause = format!("the kubeconfig asks for {OLD}, which clients since 1.24 do not know");
        findings.proven(place, cause).message(message).fix(fix());
    }
}

fn fix() -> Fix {
    Fix::manual("update the credential helper and let it write the kubeconfig anew")
        .step("aws eks update-kubeconfig --name CLUSTER (or the like of your provider)")
}
