//! The program that the kubeconfig asks for credentials is not there.

use super::client;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::Message;

pub const RULE: Rule = Rule {
    code: "SM0450",
    key: "kubeconfig-exec-plugin-missing",
    title: "credential helper of the kubeconfig is not installed",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const WORDS: [&[&str]; 5] = [
    &["getting credentials", "exec: executable", "not found"],
    &["getting credentials", "executable file not found"],
    &["getting credentials", "no such file or directory"],
    &["auth plugin has been removed"],
    &["no Auth Provider found for name"],
];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let messages: Vec<&Message> = WORDS.iter().flat_map(|words| client::said(evidence, words)).collect();
    let Some(first) = messages.first() else { return };
    let program = program(&first.text);
    let asked = client::asked_context(evidence);
    let user = evidence.read().kubeconfigs.iter().find_map(|config| Some((config, config.user_in_use(asked)?)));
    let place = match user.and_then(|(config, user)| Some((config, user.exec.as_ref()?.command.as_ref()?))) {
        Some((config, command)) => Place::Text { item: config.item, span: command.span.clone() },
        None => Place::Machine { node: first.node.clone(), what: format!("credential helper {program}") },
    };
    let finding = findings.proven(place, format!("the credential helper {program} is not installed, or not in PATH"));
    for message in messages {
        finding.message(message);
    }
    finding.fix(Fix::manual("install it where the client finds it").step(format!("command -v {program}; echo $PATH")));
}

fn program(text: &str) -> String {
    let after = |phrase: &str| text.split_once(phrase).map(|(_, rest)| rest);
    if text.contains("gcp") && !text.contains("exec:") {
        return "gke-gcloud-auth-plugin".to_owned();
    }
    if text.contains("azure") && !text.contains("exec:") {
        return "kubelogin".to_owned();
    }
    let rest = after("exec: executable ").or(after("fork/exec ")).or(after("exec: ")).or(after("for name ")).unwrap_or(text);
    rest.trim_start_matches('"').split(['"', ' ', ':']).next().unwrap_or_default().to_owned()
}
