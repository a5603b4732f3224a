//! The pull secret exists, but not in the pod's namespace.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::Answer;
use crate::read::pulls::{explain, grouped};
use crate::read::secrets::{Access, access};
use crate::read::existing::PodRow;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0140",
    key: "image-pull-secret-wrong-namespace",
    title: "pull secret is in another namespace",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const FAILING: [&str; 3] = ["ImagePullBackOff", "ErrImagePull", "Init:ImagePullBackOff"];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let denied = read.pulls.iter().filter(|pull| pull.answer == Answer::Denied);
    let groups = grouped(denied, |pull| pull.pod.clone());
    let named = groups.iter().any(|((_, name), _)| !name.is_empty());
    for ((namespace, name), pulls) in groups {
        // A journal tells of the same pulls without their pods.
        let Some(first) = pulls.first().filter(|_| !(named && name.is_empty())) else { continue };
        let Access::Elsewhere(secret, found) = access(evidence, first) else { continue };
        let place = Place::Object {
            kind: "Pod".to_owned(),
            namespace: namespace.clone(),
            name,
            field: "spec.imagePullSecrets".to_owned(),
        };
        let cause = format!("the pull secret `{secret}` is in namespace `{found}`, the pod in `{namespace}`");
        let finding = findings.proven(place, cause);
        explain(finding, &read.messages, &pulls);
        finding.fix(fix(&namespace));
    }
    for row in read.pod_rows.iter().filter(|row| FAILING.contains(&row.status.as_str())) {
        let told = read.pulls.iter().any(|pull| pull.pod.1.is_empty() || pull.pod.1 == row.name);
        if !told {
            question(evidence, findings, row);
            // One question is enough: its answer decides the others.
            return;
        }
    }
}

/// A pod that can't pull, and nothing that says why.
fn question(evidence: &Evidence, findings: &mut Findings<'_>, row: &PodRow) {
    let base = |name: &str| name.split('-').next().unwrap_or_default().to_owned();
    let rows = &evidence.read().pod_rows;
    let namespace = |row: &PodRow| row.namespace.clone().unwrap_or_default();
    let elsewhere = rows.iter().find(|other| {
        other.status == "Running" && other.namespace != row.namespace && base(&other.name) == base(&row.name)
    });
    let place = Place::Object {
        kind: "Pod".to_owned(),
        namespace: namespace(row),
        name: row.name.clone(),
        field: String::new(),
    };
    let cause = match elsewhere {
        Some(other) => format!(
            "pod `{}` can't pull in namespace `{}`, while such a pod runs in `{}`",
            row.name,
            namespace(row),
            namespace(other)
        ),
        None => format!("pod `{}` can't pull its image, and nothing here says why", row.name),
    };
    let secrets = format!("kubectl get secrets -n {}", namespace(row));
    let finding = findings.open(place, cause);
    finding
        .or(&["image-pull-secret-missing", "image-tag-not-found", "registry-unreachable", "node-dns-failure"])
        .or(&["registry-credentials-rejected", "proxy-not-configured", "registry-rate-limit"])
        .needs(&[
            "Failed event of one of the pods (kubectl describe pod)",
            "imagePullSecrets of the pods and their service account",
            &secrets,
        ])
        .weigh(-3)
        .quote(row.item, row.line);
    for status in FAILING {
        if evidence.read().failing(&[status]).next().is_some() {
            finding.note(format!("the status is {status}"));
        }
    }
    finding.fix(Fix::manual("look at the event first").step(format!(
        "kubectl describe pod {} -n {}",
        row.name,
        namespace(row)
    )));
}

fn fix(namespace: &str) -> Fix {
    Fix::manual("create the secret where the pod is").step(format!(
        "kubectl create secret docker-registry NAME -n {namespace} --docker-server=… --docker-username=… --docker-password=…"
    ))
}
