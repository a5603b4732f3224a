//! The kubeconfig belongs to somebody else and may not be read.

use super::client;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0406",
    key: "kubeconfig-permission-denied",
    title: "kubeconfig may not be read by this user",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const ABOUT: [&str; 8] = ["config file", "kubeconfig", ".kube/", "admin.conf", "k3s.yaml", "rke2.yaml", "client.config", "kubelet.conf"];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for message in client::said(evidence, &[]) {
        let text = &message.text;
        let denied = text.contains("permission denied") || text.contains("Permission denied");
        let unreadable = text.contains("Unable to read /etc/rancher") || text.contains("Insufficient permissions to access MicroK8s");
        let about = ABOUT.iter().any(|word| text.contains(word)) && !text.contains("publickey");
        if !(denied && about || unreadable) {
            continue;
        }
        let path = path(text).unwrap_or("the kubeconfig");
        let place = Place::Machine { node: message.node.clone(), what: format!("file {path} (permissions)") };
        let finding = findings.proven(place, format!("{path} may not be read by the user who runs the command"));
        finding.message(message).fix(
            Fix::manual("give the user a copy of its own")
                .step("mkdir -p ~/.kube")
                .step(format!("sudo cp {path} ~/.kube/config && sudo chown $(id -u):$(id -g) ~/.kube/config"))
                .step("chmod 600 ~/.kube/config; export KUBECONFIG=~/.kube/config"),
        );
    }
}

/// The file that a message names.
fn path(text: &str) -> Option<&str> {
    let mut words = text.split([' ', '"', ',', ';']).map(|word| word.trim_end_matches([':', '.']));
    words.find(|word| (word.starts_with('/') || word.starts_with("~/")) && word.len() > 2)
}
