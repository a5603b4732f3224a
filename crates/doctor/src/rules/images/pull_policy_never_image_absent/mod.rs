//! `imagePullPolicy: Never`, and the image is not on the node.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::Answer;
use crate::read::pulls::{explain, grouped};
use crate::read::written::place;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0150",
    key: "pull-policy-never-image-absent",
    title: "image is not on the node and may not be pulled",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let forbidden = read.pulls.iter().filter(|pull| pull.answer == Answer::Forbidden);
    let groups = grouped(forbidden, |pull| pull.image.clone());
    for (image, pulls) in &groups {
        let Some(first) = pulls.first() else { continue };
        let mut at = place(evidence, first);
        if let Place::Object { field, .. } = &mut at {
            *field = field.trim_end_matches("image").to_owned() + "imagePullPolicy";
        }
        let cause = match first.node.as_str() {
            "" => format!("`{image}` is not on the node, and imagePullPolicy is Never"),
            node => format!("`{image}` is not on node `{node}`, and imagePullPolicy is Never"),
        };
        let finding = findings.proven(at, cause);
        explain(finding, &read.messages, pulls);
        finding.fix(fix());
    }
    if groups.is_empty() {
        for row in read.pod_rows.iter().filter(|row| row.status == "ErrImageNeverPull") {
            let place = Place::Object {
                kind: "Pod".to_owned(),
                namespace: row.namespace.clone().unwrap_or_default(),
                name: row.name.clone(),
                field: "spec.containers.imagePullPolicy".to_owned(),
            };
            let cause = format!("the image of pod `{}` is not on its node, and imagePullPolicy is Never", row.name);
            findings.proven(place, cause).quote(row.item, row.line).fix(fix());
        }
    }
}

fn fix() -> Fix {
    Fix::manual("let it be pulled (imagePullPolicy: IfNotPresent), or load the image on the node")
        .step("ctr -n k8s.io images import IMAGE.tar # on the node")
}
