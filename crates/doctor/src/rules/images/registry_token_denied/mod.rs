//! The registry's token service refuses a token for the repository.

use crate::evidence::Evidence;
use crate::finding::{Fix, Severity};
use crate::read::Answer;
use crate::read::pulls::{explain, grouped};
use crate::read::secrets::{Access, access};
use crate::read::written::place;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0136",
    key: "registry-token-denied",
    title: "token service refuses the repository",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let denied = read.pulls.iter().filter(|pull| pull.answer == Answer::Denied);
    for (image, pulls) in grouped(denied, |pull| pull.image.clone()) {
        let Some(first) = pulls.first() else { continue };
        if access(evidence, first) != Access::Token {
            continue;
        }
        let cause = format!("`{}` gives no token to read `{image}`: it is private, renamed or gone, or not for this account", first.asked);
        let finding = findings.open(place(evidence, first), cause);
        finding.or(&["image-pull-secret-missing", "registry-credentials-rejected"]).needs(&[
            "imagePullSecrets of the pod and its service account",
            "visibility of the package in the registry",
            "whether the image path is right",
        ]);
        explain(finding, &read.messages, &pulls);
        finding.fix(
            Fix::manual("make the package readable, or give the pod credentials that may read it")
                .step("kubectl get pod POD -n NAMESPACE -o jsonpath='{.spec.imagePullSecrets}'"),
        );
    }
}
