//! `cluster-info` has no signature for a token: the token is unknown, or nobody signs.

use super::output::{self, Listed};
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::Message;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0308",
    key: "join-token-not-signed",
    title: "cluster-info is not signed for the bootstrap token",
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
}

fn signature(evidence: &Evidence, findings: &mut Findings<'_>, message: &Message, id: &str) {
    let (listed, item) = output::listed(evidence, id);
    let place = output::machine(message, format!("bootstrap token {id}"));
    let down = controller_down(evidence);
    let finding = match (listed, down) {
        (Listed::Gone, None) => return,
        (Listed::NotForSigning, _) => {
            findings.proven(place, format!("the bootstrap token {id} may not be used for signing"))
        }
        (_, Some((item, line))) => {
            let cause = format!("kube-controller-manager, which signs cluster-info for the token {id}, does not run");
            findings.proven(place, cause).quote(item, line)
        }
        (Listed::Good, None) => {
            let cause = format!("the token {id} is good, but nobody has signed cluster-info for it");
            findings.likely(place, cause)
        }
        (Listed::Unknown, None) if message.text.contains("could not find") => return,
        (Listed::Unknown, None) => {
            let cause = format!(
                "cluster-info is not signed for the token {id}: it is unknown or has run out, or kube-controller-manager does not sign"
            );
            findings.open(place, cause).or(&["join-token-expired", "node-clock-skew"]).needs(&[
                "kubeadm token list on the control plane",
                "state of kube-controller-manager (crictl ps, its log)",
                "clock (date) of both machines",
            ])
        }
    };
    finding.message(message);
    if let Some(item) = item {
        finding.quote(item, 1);
    }
    finding.fix(
        Fix::manual("look at the tokens and at the one who signs")
            .step("kubeadm token list")
            .step("crictl ps -a --name kube-controller-manager"),
    );
}

/// A line that shows the controller manager down.
fn controller_down(evidence: &Evidence) -> Option<(usize, u32)> {
    let down = ["Exited", "CrashLoopBackOff", "0/1", "Error", "ImagePullBackOff", "CreateContainerError"];
    evidence.items().iter().enumerate().find_map(|(number, item)| {
        let line = item.text.lines().position(|line| {
            line.contains("kube-controller-manager") && down.iter().any(|word| line.contains(word))
        })?;
        Some((number, u32::try_from(line + 1).unwrap_or(1)))
    })
}
