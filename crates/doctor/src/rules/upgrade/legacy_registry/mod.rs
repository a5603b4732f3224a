//! Images from `k8s.gcr.io`, the registry that is frozen since 2023.

use std::collections::BTreeMap;

use super::target::target;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::containerd::{IMAGE_PLUGINS, RUNTIME_PLUGINS};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0807",
    key: "upgrade-legacy-registry",
    title: "image from the registry that Kubernetes left",
    severity: Severity::Warning,
    page: include_str!("page.md"),
    check,
};

const LEGACY: &str = "k8s.gcr.io/";
const NEW: &str = "registry.k8s.io/";

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    if target(evidence).is_none() {
        return;
    }
    let mut users: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for pod in &evidence.read().pods {
        for container in pod.containers.iter().filter(|container| container.image.starts_with(LEGACY)) {
            users.entry(&container.image).or_default().push((&pod.namespace, &pod.name));
        }
    }
    for (image, pods) in users {
        let (namespace, name) = pods[0];
        let place = Place::Object {
            kind: "Pod".to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            field: "spec.containers".to_owned(),
        };
        let cause = format!("{image} is used by {} pods; nothing new comes to that registry, and it may vanish", pods.len());
        let finding = findings.proven(place, cause);
        finding.fix(Fix::manual(format!("use {}", image.replacen(LEGACY, NEW, 1))));
    }
    for config in &evidence.read().configs {
        let sandbox = config.cri_string(&RUNTIME_PLUGINS, &["sandbox_image"]);
        let pinned = config.cri_string(&IMAGE_PLUGINS, &["pinned_images", "sandbox"]);
        for image in [sandbox, pinned].into_iter().flatten().filter(|image| image.value.starts_with(LEGACY)) {
            let new = image.value.replacen(LEGACY, NEW, 1);
            let place = Place::Text { item: config.item, span: image.span.clone() };
            let finding = findings.proven(place, format!("the sandbox image of every pod is {}", image.value));
            let fix = Fix::review(format!("use {new}")).edit(config.item, image.span, format!("\"{new}\""));
            finding.fix(fix.restart("containerd"));
        }
    }
}
