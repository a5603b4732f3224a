//! The cluster's CA has another hash than the join command.

use super::output;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0306",
    key: "join-ca-hash-mismatch",
    title: "the cluster's CA is not the one that the join command pins",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for message in output::said(evidence, &["none of the public keys", "pinned"]) {
        let found = message.quoted_after("none of the public keys").unwrap_or("another hash");
        let place = output::machine(message, "kubeadm join argument --discovery-token-ca-cert-hash");
        let cause = format!("the join command pins another CA than the cluster's, whose hash is {found}");
        let finding = findings.proven(place, cause);
        finding.message(message);
        let hash = found.trim_start_matches("sha256:");
        for (number, _) in evidence.asked("openssl", None) {
            if hash.len() == 64 {
                finding.quote_word(evidence, number, hash);
            }
        }
        finding.fix(
            Fix::manual("join with a fresh command, if this is the cluster that you mean")
                .step("kubeadm token create --print-join-command    # on the control plane"),
        );
    }
}
