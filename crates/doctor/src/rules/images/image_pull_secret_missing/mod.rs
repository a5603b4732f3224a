//! The pull secret that a pod names does not exist in the pod's namespace.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::Answer;
use crate::read::pulls::{explain, grouped};
use crate::read::secrets::{Access, access};
use crate::read::written::place;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0139",
    key: "image-pull-secret-missing",
    title: "pull secret does not exist",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let denied = read.pulls.iter().filter(|pull| pull.answer == Answer::Denied);
    for ((pod, image), pulls) in grouped(denied, |pull| (pull.pod.clone(), pull.image.clone())) {
        let Some(first) = pulls.first() else { continue };
        let (namespace, name) = pod;
        let object = |field: &str| Place::Object {
            kind: "Pod".to_owned(),
            namespace: namespace.clone(),
            name: name.clone(),
            field: field.to_owned(),
        };
        let finding = match access(evidence, first) {
            Access::NoSecret(secret) => {
                let cause = format!("the pod names the pull secret `{secret}`, which is not in namespace `{namespace}`");
                findings.proven(object("spec.imagePullSecrets"), cause)
            }
            Access::Anonymous => question(findings, object("spec.imagePullSecrets"), &image),
            Access::Unknown if first.says("does not exist") => {
                let finding = question(findings, place(evidence, first), &image);
                finding.or(&["placeholder-image", "image-tag-not-found"]).needs(&["whether the repository exists"])
            }
            _ => continue,
        };
        for message in read.failing(&["image pull secret"]).filter(|message| message.pod == first.pod) {
            finding.message(message);
        }
        explain(finding, &read.messages, &pulls);
        finding.fix(
            Fix::manual("create the secret in the pod's namespace, or correct the name")
                .step(format!("kubectl get secrets -n {namespace}"))
                .step(format!("kubectl create secret docker-registry NAME -n {namespace} --docker-server={} --docker-username=… --docker-password=…", first.registry())),
        );
    }
}

fn question<'a>(findings: &'a mut Findings<'_>, place: Place, image: &str) -> &'a mut crate::Finding {
    let cause = format!("`{image}` was asked for without credentials, and the registry wants some");
    let others = [
        "pull-secret-wrong-host",
        "image-pull-secret-wrong-namespace",
        "registry-credentials-rejected",
        "registry-token-denied",
    ];
    findings.open(place, cause).or(&others).needs(&[
        "imagePullSecrets of the pod and its service account",
        "kubectl get secrets of the namespace",
        "hosts (auths keys) in the pull secret",
    ])
}
