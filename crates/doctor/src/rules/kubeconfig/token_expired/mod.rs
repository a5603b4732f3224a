//! The bearer token or the session behind it has run out.

use super::login::{self, Cause};
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::kubeconfig::token_end;

pub const RULE: Rule = Rule {
    code: "SM0409",
    key: "token-expired",
    title: "token or session has run out",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let now = login::now(evidence);
    let refused = login::refused(evidence);
    let mut told = false;
    for config in &evidence.read().kubeconfigs {
        for user in &config.users {
            let Some(token) = &user.token else { continue };
            let Some(end) = token_end(&token.value).filter(|end| now.is_some_and(|now| *end < now)) else { continue };
            let place = Place::Text { item: config.item, span: token.span.clone() };
            let date = jiff::Timestamp::from_second(end).map(|end| end.to_string()).unwrap_or_default();
            let finding = findings.proven(place, format!("the token of the user {} ran out at {date}", user.name.value));
            match &refused {
                Some(refused) => refused.explain(finding),
                None => {
                    finding.severity(Severity::Warning);
                }
            }
            finding.fix(fix());
            told = true;
        }
    }
    let Some(refused) = refused.filter(|_| !told) else { return };
    let place = match refused.user {
        Some((config, user)) => {
            let token = user.token.as_ref().or(user.provider.as_ref()).map_or(&user.name.span, |token| &token.span);
            Place::Text { item: config.item, span: token.clone() }
        }
        None => {
            let node = refused.messages.first().map(|message| message.node.clone()).unwrap_or_default();
            Place::Machine { node, what: "kubeconfig (token)".to_owned() }
        }
    };
    let whose = refused.user.map_or(String::new(), |(_, user)| format!(" of the user {}", user.name.value));
    let finding = match refused.cause {
        Some((Cause::Token, ..)) => findings.proven(place, format!("the token or session{whose} has run out")),
        None if refused.candidates().0 == Cause::Token => {
            let cause = format!("the server does not accept the token{whose}: most likely it has run out");
            findings.open(place, cause).or(refused.candidates().1)
        }
        _ => return,
    };
    refused.explain(finding);
    finding.fix(fix());
}

fn fix() -> Fix {
    Fix::manual("log in again").step("aws sso login, az login, gcloud auth login, kubectl oidc-login, or the portal that gave the token")
}
