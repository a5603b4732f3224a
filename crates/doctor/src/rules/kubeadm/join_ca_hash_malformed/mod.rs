//! `--discovery-token-ca-cert-hash` is no `sha256:` and 64 hexadecimal digits.

use super::output;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0305",
    key: "join-ca-hash-malformed",
    title: "CA hash of the join command is written wrongly",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const WORDS: [&[&str]; 5] = [
    &["invalid discovery token CA certificate hash"],
    &["unknown hash format"],
    &["caCertHashes", "Invalid value"],
    &["expected a 32 byte SHA-256 hash"],
    &["hash", "encoding/hex"],
];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for words in WORDS {
        for message in output::said(evidence, words) {
            let text = &message.text;
            let why = if let Some(format) = message.quoted_after("unknown hash format") {
                if format.trim() == "sha256" {
                    "has a blank in front of `sha256:`".to_owned()
                } else {
                    format!("begins with `{format}` instead of `sha256:`")
                }
            } else if text.contains("invalid byte") {
                "has a character that is no hexadecimal digit".to_owned()
            } else if text.contains("odd length") || text.contains("32 byte") {
                "has too few or too many digits".to_owned()
            } else {
                "is not `sha256:` and 64 hexadecimal digits".to_owned()
            };
            let place = output::machine(message, "kubeadm join argument --discovery-token-ca-cert-hash");
            findings.proven(place, format!("the value of --discovery-token-ca-cert-hash {why}")).message(message).fix(
                Fix::manual("join with a command that was printed, not typed")
                    .step("kubeadm token create --print-join-command    # on the control plane"),
            );
        }
    }
}
