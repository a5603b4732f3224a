//! Too few CPUs or too little memory for a control plane.

use super::output;
use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0303",
    key: "preflight-resources-too-small",
    title: "machine too small for a control plane",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    for (name, words, message) in output::failed(evidence) {
        let what = match name {
            "NumCPU" => "CPUs",
            "Mem" => "memory",
            _ => continue,
        };
        findings.proven(output::machine(message, what), words).message(message).fix(
            Fix::manual("take a machine with 2 CPUs and 2 GB, or ignore the check knowingly")
                .step(format!("kubeadm init --ignore-preflight-errors={name}    # for a try only")),
        );
    }
}
