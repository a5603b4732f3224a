//! `…-data` of a kubeconfig is no base64 of PEM.

use super::client;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::Message;
use crate::read::kubeconfig::data_fault;
use crate::read::toml::Spanned;

pub const RULE: Rule = Rule {
    code: "SM0454",
    key: "kubeconfig-certificate-data-invalid",
    title: "certificate data in the kubeconfig can't be read",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    const WORDS: [&str; 5] = [
        "illegal base64 data",
        "unable to load root certificates",
        "unable to parse bytes as PEM block",
        "failed to find any PEM data",
        "private key does not match public key",
    ];
    let all = client::said(evidence, &[]);
    let messages: Vec<&Message> = all.filter(|message| WORDS.iter().any(|words| message.text.contains(words))).collect();
    let mut told = false;
    for config in &evidence.read().kubeconfigs {
        let clusters = config.clusters.iter().map(|cluster| (&cluster.name, "certificate-authority-data", &cluster.authority));
        let users = config.users.iter().flat_map(|user| {
            [(&user.name, "client-certificate-data", &user.certificate_data), (&user.name, "client-key-data", &user.key_data)]
        });
        for (name, key, data) in clusters.chain(users) {
            let Some((data, fault)) = data.as_ref().and_then(|data: &Spanned<String>| Some((data, data_fault(&data.value)?))) else {
                continue;
            };
            let place = Place::Text { item: config.item, span: data.span.clone() };
            let finding = findings.proven(place, format!("{key} of {} {fault}", name.value));
            for message in &messages {
                finding.message(message);
            }
            finding.fix(
                Fix::manual("take the data anew from the cluster's administrator, in one piece")
                    .step("base64 -w0 < FILE.pem    # if it is to be made from a file"),
            );
            told = true;
        }
    }
    for message in messages.into_iter().filter(|_| !told) {
        let place = Place::Machine { node: message.node.clone(), what: "kubeconfig (certificate data)".to_owned() };
        findings.proven(place, "certificate or key data in the kubeconfig can't be read").message(message).fix(
            Fix::manual("take the kubeconfig anew from where it was made"),
        );
    }
}
