//! Pods from pod templates.

use api::View;
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::claim::{Owner, reference};
use super::hash;
use super::meta::Meta;

/// A pod of `owner` named `name`, as `template` has it.
pub fn pod<O: Owner>(owner: &O, template: &PodTemplateSpec, name: String) -> Pod {
    let meta = template.metadata.as_ref();
    Pod {
        metadata: ObjectMeta {
            name: Some(name),
            generate_name: Some(format!("{}-", owner.name())),
            namespace: Some(owner.namespace().to_owned()),
            labels: meta.and_then(|meta| meta.labels.clone()),
            annotations: meta.and_then(|meta| meta.annotations.clone()),
            finalizers: meta.and_then(|meta| meta.finalizers.clone()),
            owner_references: Some(vec![reference(owner)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}

/// A name for the `index`th object that `owner` makes from `view`.
pub fn generated_name<O: Owner>(owner: &O, base: &str, view: &View, index: usize) -> String {
    hash::name(
        base,
        &[
            owner.uid().as_bytes(),
            &view.revision().to_le_bytes(),
            &u64::try_from(index).unwrap_or(u64::MAX).to_le_bytes(),
        ],
    )
}
