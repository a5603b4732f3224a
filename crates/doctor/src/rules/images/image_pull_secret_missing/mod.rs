//! The pull secret that a pod names does not exist in the pod's namespace.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::{Answer, Pull};
use crate::read::pulls::explain;
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
    let judged = denied.map(|pull| (access(evidence, pull), pull));
    let mut groups: std::collections::BTreeMap<(String, String), (Access, Vec<&Pull>)> = Default::default();
    for (access, pull) in judged {
        let what = match &access {
            Access::NoSecret(secret) => secret.clone(),
            Access::Anonymous => pull.image.clone(),
            Access::Unknown if pull.says("does not exist") => pull.image.clone(),
            _ => continue,
        };
        let group = groups.entry((pull.pod.0.clone(), what)).or_insert_with(|| (access, Vec::new()));
        group.1.push(pull);
    }
    for ((namespace, what), (access, pulls)) in groups {
        let Some(first) = pulls.first() else { continue };
        let secrets = Place::Object {
            kind: "Pod".to_owned(),
            namespace: namespace.clone(),
            name: first.pod.1.clone(),
            field: "spec.imagePullSecrets".to_owned(),
        };
        let finding = match access {
            Access::NoSecret(_) => {
                let place = if namespace.is_empty() { "its namespace".to_owned() } else { format!("namespace `{namespace}`") };
                findings.proven(secrets, format!("the pod names the pull secret `{what}`, which is not in {place}"))
            }
            Access::Anonymous => question(findings, secrets, &what),
            _ => {
                let finding = question(findings, place(evidence, first), &what);
                finding.or(&["placeholder-image", "image-tag-not-found"]).needs(&["whether the repository exists"])
            }
        };
        for message in read.failing(&["image pull secret"]).filter(|message| message.pod == first.pod).take(3) {
            finding.message(message);
        }
        explain(finding, &read.messages, &pulls);
        finding.fix(
            Fix::manual("create the secret in the pod's namespace, or correct the name")
                .step(format!("kubectl get secrets -n {namespace}").trim_end_matches(" -n ").to_owned())
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
