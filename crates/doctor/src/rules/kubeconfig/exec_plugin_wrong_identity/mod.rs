//! The credential helper of the kubeconfig works, but as somebody the cluster does not know.

use super::login::{self, Cause};
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::kubeconfig::User;

pub const RULE: Rule = Rule {
    code: "SM0410",
    key: "exec-plugin-wrong-identity",
    title: "credential helper signs as somebody the cluster does not know",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let Some(refused) = login::refused(evidence) else { return };
    let place = match refused.user {
        Some((config, user)) => Place::Text { item: config.item, span: switch(user) },
        None => {
            let node = refused.messages.first().map(|message| message.node.clone()).unwrap_or_default();
            Place::Machine { node, what: "credential helper of the kubeconfig".to_owned() }
        }
    };
    let whose = refused.user.map_or(String::new(), |(_, user)| format!(" of the user {}", user.name.value));
    let finding = match refused.cause {
        Some((Cause::Identity, ..)) => {
            let with = refused.user.and_then(|(_, user)| profile(user)).unwrap_or_default();
            findings.proven(place, format!("the credential helper{whose}{with} gives an identity that the cluster does not know"))
        }
        None if refused.candidates().0 == Cause::Identity => {
            let cause = format!("the server does not accept what the credential helper{whose} gives: another identity, or a session that is over");
            findings.open(place, cause).or(refused.candidates().1)
        }
        _ => return,
    };
    refused.explain(finding);
    finding.fix(
        Fix::manual("let the helper use the profile, account or role that the cluster knows")
            .step("aws sts get-caller-identity (or: gcloud auth list, az account show)")
            .step("kubectl -n kube-system get configmap aws-auth -o yaml    # as an administrator"),
    );
}

/// Where the identity is chosen: a variable, or the helper itself.
fn switch(user: &User) -> std::ops::Range<usize> {
    let Some(exec) = &user.exec else { return user.name.span.clone() };
    let chosen = exec.environment.iter().find(|(name, _)| is_choice(&name.value)).map(|(_, value)| value);
    chosen.or(exec.command.as_ref()).map_or_else(|| user.span.clone(), |value| value.span.clone())
}

fn profile(user: &User) -> Option<String> {
    let (name, value) = user.exec.as_ref()?.environment.iter().find(|(name, _)| is_choice(&name.value))?;
    Some(format!(" with {}={}", name.value, value.value))
}

fn is_choice(name: &str) -> bool {
    name.ends_with("PROFILE") || name.ends_with("ACCOUNT") || name.ends_with("TENANT_ID") || name.ends_with("ROLE_ARN")
}
