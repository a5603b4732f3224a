//! kubeadm's version does not fit the version of the cluster or the kubelet.

use super::output;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0309",
    key: "kubeadm-version-skew",
    title: "kubeadm and the cluster are too far apart",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const WORDS: [&[&str]; 10] = [
    &["this version of kubeadm only supports"],
    &["[ERROR KubeletVersion]"],
    &["[ERROR KubernetesVersion]"],
    &["is too high; kubeadm can upgrade only"],
    &["minor release higher than the kubeadm"],
    &["is higher than the kubeadm version"],
    &["is too low; kubeadm"],
    &["kubelet-config-1.", "forbidden"],
    &["kubelet-config-1.", "not found"],
    &["unsupported Kubernetes version"],
];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for words in WORDS {
        for message in output::said(evidence, words) {
            let text = &message.text;
            let what = if text.contains("KubeletVersion") { "kubelet" } else { "kubeadm" };
            let version = evidence.read().version(&message.node, "kubeadm");
            let cause = if text.contains("kubelet-config-1.") {
                "kubeadm looks for the ConfigMap of another minor version: it is older or newer than the cluster".to_owned()
            } else if let Some(at) = text.find("this version of kubeadm") {
                let words = text[at..].trim().trim_end_matches('.');
                version.map_or_else(|| words.to_owned(), |found| format!("kubeadm {}: {words}", found.text))
            } else {
                sentence(text.rsplit("]: ").next().unwrap_or(text))
            };
            let finding = findings.proven(output::machine(message, what), cause);
            finding.message(message);
            if let Some(found) = version {
                finding.quote(found.item, found.line);
            }
            finding.fix(
                Fix::manual("bring kubeadm, kubelet and cluster together, one minor version at a time")
                    .step("kubeadm version -o short; kubelet --version; kubectl version")
                    .step("install the kubeadm of the version that is wanted, or ask for a version that this one supports"),
            );
        }
    }
}

/// The first sentence, without a mark in front and a full stop behind.
fn sentence(text: &str) -> String {
    let first = text.trim().trim_start_matches("- ").split(". ").next().unwrap_or_default().trim_end_matches('.');
    let mut rest = first.chars();
    rest.next().map(|letter| letter.to_lowercase().chain(rest).collect()).unwrap_or_default()
}
