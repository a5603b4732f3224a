//! The bootstrap token of the join command does not exist any more.

use super::output::{self, Listed};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::Message;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0307",
    key: "join-token-expired",
    title: "bootstrap token has run out",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for words in [["could not find a JWS signature", "token ID"], ["does not yet contain a JWS signature", "token ID"]] {
        for message in output::said(evidence, &words) {
            let id = message.quoted_after("token ID").unwrap_or_default();
            signature(evidence, findings, message, id);
        }
    }
    for message in output::said(evidence, &["Unauthorized"]) {
        if message.text.contains("kubeadm-config") || message.text.contains("TLS Bootstrap") {
            let cause = "the API server does not accept the bootstrap token: it has run out or was deleted";
            let finding = findings.likely(output::machine(message, "kubeadm join argument --token"), cause);
            finding.message(message).fix(fix());
        }
    }
}

fn signature(evidence: &Evidence, findings: &mut Findings<'_>, message: &Message, id: &str) {
    let (listed, item) = output::listed(evidence, id);
    let place = output::machine(message, format!("bootstrap token {id}"));
    let missing = message.text.contains("could not find");
    let finding = match listed {
        Listed::Gone => findings.proven(place, format!("the bootstrap token {id} has run out or was deleted")),
        // Whether it is the token or the signature, the list tells; "does not yet" is a rule of its own.
        Listed::Unknown if missing => {
            let cause = format!("the cluster knows no bootstrap token {id}: most likely it has run out");
            let finding = findings.open(place, cause);
            finding.or(&["join-token-not-signed"]).needs(&[
                "kubeadm token list on the control plane",
                "state of kube-controller-manager",
                "clock (date) of both machines",
            ])
        }
        _ => return,
    };
    finding.message(message).fix(fix());
    if let Some(item) = item {
        finding.quote(item, 1);
    }
}

fn fix() -> Fix {
    Fix::manual("join with a new token").step("kubeadm token create --print-join-command    # on the control plane")
}
