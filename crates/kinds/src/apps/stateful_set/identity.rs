//! What makes a numbered pod that very pod: its name, host name, labels and claims.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimVolumeSource, Pod, PodTemplateSpec, Volume,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::workload::meta::Meta;
use crate::workload::template;

/// The first number.
pub fn start(set: &StatefulSet) -> i32 {
    set.spec.ordinals.as_ref().and_then(|ordinals| ordinals.start).unwrap_or_default()
}

/// The name of the pod with number `ordinal`.
pub fn pod_name(set: &StatefulSet, ordinal: i32) -> String {
    format!("{}-{ordinal}", set.name())
}

/// The number of a pod of `set`.
pub fn ordinal(set: &StatefulSet, pod: &Pod) -> Option<i32> {
    let number: i32 = pod.name().strip_prefix(set.name())?.strip_prefix('-')?.parse().ok()?;
    (pod_name(set, number) == pod.name()).then_some(number)
}

/// The pod with number `ordinal`, made from `template`.
pub fn pod(set: &StatefulSet, template: &PodTemplateSpec, ordinal: i32) -> Pod {
    let name = pod_name(set, ordinal);
    let mut pod = template::pod(set, template, name.clone());
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert("statefulset.kubernetes.io/pod-name".to_owned(), name.clone());
    labels.insert("apps.kubernetes.io/pod-index".to_owned(), ordinal.to_string());
    let spec = pod.spec.get_or_insert_default();
    spec.hostname = Some(name);
    spec.subdomain = set.spec.service_name.clone().filter(|name| !name.is_empty());
    let templates = set.spec.volume_claim_templates.as_deref().unwrap_or_default();
    if !templates.is_empty() {
        let volumes = spec.volumes.get_or_insert_default();
        volumes.retain(|volume| !templates.iter().any(|template| template.name() == volume.name));
        volumes.extend(templates.iter().map(|template| Volume {
            name: template.name().to_owned(),
            persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
                claim_name: claim_name(set, template, ordinal),
                read_only: None,
            }),
            ..Volume::default()
        }));
    }
    pod
}

fn claim_name(set: &StatefulSet, template: &PersistentVolumeClaim, ordinal: i32) -> String {
    format!("{}-{}-{ordinal}", template.name(), set.name())
}

/// The claims of the pod with number `ordinal`.
pub fn claims(set: &StatefulSet, ordinal: i32) -> Vec<PersistentVolumeClaim> {
    let templates = set.spec.volume_claim_templates.iter().flatten();
    templates
        .map(|template| {
            let mut labels = template.metadata.labels.clone().unwrap_or_default();
            labels.extend(set.spec.selector.match_labels.clone().unwrap_or_default());
            PersistentVolumeClaim {
                metadata: ObjectMeta {
                    name: Some(claim_name(set, template, ordinal)),
                    namespace: Some(set.namespace().to_owned()),
                    labels: (!labels.is_empty()).then_some(labels),
                    annotations: template.metadata.annotations.clone(),
                    ..ObjectMeta::default()
                },
                spec: template.spec.clone(),
                status: None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_the_set_have_an_ordinal() {
        let named = |name: &str| ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let set = StatefulSet { metadata: named("web"), ..StatefulSet::default() };
        for (name, expected) in
            [("web-0", Some(0)), ("web-12", Some(12)), ("web-01", None), ("web-x", None), ("other-0", None)]
        {
            let pod = Pod { metadata: named(name), ..Pod::default() };
            assert_eq!(ordinal(&set, &pod), expected, "{name}");
        }
    }
}
