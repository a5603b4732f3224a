//! The CA in the kubeconfig has the name of the cluster's CA but is another one: the file is of an earlier cluster.

use super::client;
use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};
use crate::read::Message;

pub const RULE: Rule = Rule {
    code: "SM0407",
    key: "kubeconfig-stale-ca",
    title: "kubeconfig is of an earlier cluster",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let messages: Vec<&Message> =
        client::said(evidence, &["certificate signed by unknown authority"]).filter(|message| is_api(&message.text)).collect();
    let Some(first) = messages.first() else { return };
    let same_name = messages.iter().find(|message| message.text.contains("possibly because of"));
    let config = evidence.read().kubeconfigs.iter().find_map(|config| {
        Some((config.item, config.clusters.iter().find_map(|cluster| cluster.authority.as_ref())?))
    });
    let place = match config {
        Some((item, authority)) => Place::Text { item, span: authority.span.clone() },
        None => Place::Machine { node: first.node.clone(), what: "kubeconfig (certificate-authority-data)".to_owned() },
    };
    let looked = evidence.of(ItemKind::NodeFacts).find(|(_, item)| {
        let source = item.origin.source();
        ["stat", "ca.crt", "x509", "admin.conf", "ls -l", "s_client", "md5", "sha"].iter().any(|word| source.contains(word))
    });
    let finding = match (same_name, looked) {
        (Some(message), _) => {
            let name = message.quoted_after("candidate authority certificate").unwrap_or("kubernetes");
            let cause = format!("the CA in the kubeconfig is called {name} like the cluster's, but is another one: the file is of an earlier cluster");
            findings.proven(place, cause)
        }
        (None, Some((item, _))) => {
            findings.likely(place, "the CA in the kubeconfig is not the cluster's").quote(item, 1)
        }
        (None, None) => findings
            .open(place, "the CA in the kubeconfig is not the one that signed the certificate of the answering server")
            .or(&["tls-intercepting-proxy"])
            .needs(&[
                "issuer of the certificate that answers (openssl s_client -connect SERVER -showcerts)",
                "date of the kubeconfig and of /etc/kubernetes/admin.conf (stat)",
            ]),
    };
    for message in &messages {
        finding.message(message);
    }
    finding.fix(
        Fix::manual("take the kubeconfig of the present cluster")
            .step("sudo cp /etc/kubernetes/admin.conf ~/.kube/config && sudo chown $(id -u):$(id -g) ~/.kube/config"),
    );
}

/// Only about the API server, not about registries, repositories of charts, or what pods connect to.
fn is_api(text: &str) -> bool {
    let url = text.split("https://").nth(1);
    let api = url.is_none_or(|rest| rest.contains(":6443") || rest.contains("/api") || rest.contains("/version") || rest.contains("/openapi") || rest.contains("timeout=32s"));
    api && (text.contains("Unable to connect to the server") || text.contains("ubernetes cluster unreachable") || url.is_some() || text.contains("possibly because of"))
}
