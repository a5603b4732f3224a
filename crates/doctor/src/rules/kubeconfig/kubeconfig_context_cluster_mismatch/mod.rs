//! A context names a cluster or a user that no kubeconfig of the machine has.

use super::client;
use crate::evidence::Evidence;
use crate::finding::{Finding, Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::Message;
use crate::near;

pub const RULE: Rule = Rule {
    code: "SM0402",
    key: "kubeconfig-context-cluster-mismatch",
    title: "context names a cluster or user that is not in the file",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let messages: Vec<&Message> = client::at_localhost(evidence)
        .chain(client::said(evidence, &["cluster \"", "does not exist"]))
        .chain(client::said(evidence, &["cluster has no server defined"]))
        .collect();
    let asked = client::asked_context(evidence);
    let (lost, known) = client::lost_contexts(evidence);
    let told = !lost.is_empty();
    for context in lost {
        let cause = format!("the context {} names the cluster {}, which the file does not have", context.name, context.cluster);
        let used = asked.map_or(context.current, |asked| asked == context.name);
        let finding = findings.proven(context.place, cause);
        if let Some((item, line)) = context.quote {
            finding.quote(item, line);
        }
        in_use(finding, used, &messages);
        let near = near::nearest(context.cluster, known.iter().copied());
        let near = near.or(known.first().copied().filter(|_| known.len() == 1));
        let fix = match (near, context.written) {
            (Some(near), Some(written)) => {
                Fix::review(format!("name the cluster {near}")).edit(context.item, written.span.clone(), near)
            }
            (near, _) => {
                let near = near.unwrap_or("CLUSTER");
                Fix::manual("make the names equal")
                    .step(format!("kubectl config set-context {} --cluster={near}", context.name))
            }
        };
        finding.fix(fix);
    }
    if !told {
        for message in client::said(evidence, &["cluster \"", "does not exist"]) {
            if let Some(name) = message.quoted_after("cluster") {
                let place = Place::Machine { node: message.node.clone(), what: format!("kubeconfig cluster {name}") };
                let cause = format!("the kubeconfig has no cluster {name}");
                findings.proven(place, cause).message(message).fix(Fix::manual("use a name that is there").step("kubectl config get-clusters"));
            }
        }
    }
    users(evidence, findings, asked);
}

/// A broken context that is in use is an error, another one a warning.
fn in_use(finding: &mut Finding, used: bool, messages: &[&Message]) {
    if !used {
        finding.severity(Severity::Warning);
        return;
    }
    for message in messages {
        finding.message(message);
    }
}

/// Contexts whose user is nowhere.
fn users(evidence: &Evidence, findings: &mut Findings<'_>, asked: Option<&str>) {
    let messages: Vec<&Message> = client::said(evidence, &["auth info", "does not exist"]).collect();
    let mut told = false;
    for config in evidence.read().kubeconfigs.iter().filter(|config| client::complete(evidence, config)) {
        for context in &config.contexts {
            let Some(user) = &context.user else { continue };
            if client::beside(evidence, config).any(|other| other.user(&user.value).is_some()) {
                continue;
            }
            let current = config.current.as_ref().map(|current| current.value.as_str());
            let used = asked.or(current) == Some(&context.name.value);
            let place = Place::Text { item: config.item, span: user.span.clone() };
            let cause = format!("the context {} names the user {}, which the file does not have", context.name.value, user.value);
            let finding = findings.proven(place, cause);
            in_use(finding, used, &messages);
            told = true;
            let names = config.users.iter().map(|user| user.name.value.as_str());
            let near = near::nearest(&user.value, names.clone()).or(names.clone().next().filter(|_| names.count() == 1));
            finding.fix(match near {
                Some(near) => Fix::review(format!("name the user {near}")).edit(config.item, user.span.clone(), near),
                None => Fix::manual("make the names equal")
                    .step(format!("kubectl config set-context {} --user=USER", context.name.value)),
            });
        }
    }
    for message in messages.into_iter().filter(|_| !told) {
        let name = message.quoted_after("auth info").unwrap_or_default();
        let place = Place::Machine { node: message.node.clone(), what: format!("kubeconfig user {name}") };
        let cause = format!("the kubeconfig has no user {name}");
        findings.proven(place, cause).message(message).fix(Fix::manual("use a name that is there").step("kubectl config view"));
    }
}
