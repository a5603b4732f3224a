//! The client certificate of the kubeconfig has run out.

use super::login::{self, Cause};
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::kubeconfig::certificate_end;

pub const RULE: Rule = Rule {
    code: "SM0408",
    key: "kubeconfig-client-cert-expired",
    title: "client certificate in the kubeconfig has run out",
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
            let Some(data) = &user.certificate_data else { continue };
            let Some(end) = certificate_end(&data.value).filter(|end| now.is_some_and(|now| *end < now)) else { continue };
            let place = Place::Text { item: config.item, span: data.span.clone() };
            let date = jiff::Timestamp::from_second(end).map(|end| end.to_string()).unwrap_or_default();
            let cause = format!("the client certificate of the user {} ran out at {date}", user.name.value);
            let finding = findings.proven(place, cause);
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
    let data = refused.user.and_then(|(config, user)| {
        let data = user.certificate_data.as_ref().or(user.certificate_file.as_ref())?;
        Some(Place::Text { item: config.item, span: data.span.clone() })
    });
    let node = refused.messages.first().map(|message| message.node.clone()).unwrap_or_default();
    let place = data.unwrap_or(Place::Machine { node, what: "kubeconfig (client certificate)".to_owned() });
    let finding = match refused.cause {
        Some((Cause::Certificate, ..)) => findings.proven(place, "the client certificate in the kubeconfig has run out"),
        None if refused.candidates().0 == Cause::Certificate => {
            let others = refused.candidates().1;
            let cause = if others.is_empty() {
                "the server does not accept the client certificate: most likely it has run out"
            } else {
                "the server does not accept the credentials: a certificate or token that has run out, or an identity that it does not know"
            };
            findings.open(place, cause).or(others)
        }
        _ => return,
    };
    refused.explain(finding);
    finding.fix(fix());
}

fn fix() -> Fix {
    Fix::manual("renew the certificate and take the new kubeconfig")
        .step("kubeadm certs check-expiration    # on the control plane")
        .step("kubeadm certs renew admin.conf    # if it is over there too")
        .step("sudo cp /etc/kubernetes/admin.conf ~/.kube/config && sudo chown $(id -u):$(id -g) ~/.kube/config")
}
