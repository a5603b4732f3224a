//! The template from which controllers make pods: the kind `PodTemplate`, and what every template shares.

use std::collections::BTreeMap;

use api::{FieldErrors, KindDef, Path, Rules};
use k8s_openapi::api::core::v1::{PodSpec, PodTemplate, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::Value;

use super::pod;
use crate::checks;
use crate::table::{self, string};
use crate::value::{at, object};

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<PodTemplate>(&RULES);

const RULES: Rules<PodTemplate> = Rules {
    defaults: |value| {
        object(value, "template").into_iter().for_each(defaults);
    },
    prepare: |_, _| {},
    validate: |object, _, errors| {
        let template = object.template.clone().unwrap_or_default();
        validate(&template, &Path::new("template"), errors);
    },
    columns: &[
        table::name(),
        string("Containers", |object, _| containers(object.template.as_ref())),
        string("Images", |object, _| images(object.template.as_ref())),
        string("Pod Labels", |object, _| {
            let metadata = object.template.as_ref().and_then(|template| template.metadata.as_ref());
            Value::from(table::labels(metadata.and_then(|metadata| metadata.labels.as_ref())))
        }),
    ],
};

/// Defaults of a template.
pub fn defaults(template: &mut Value) {
    object(template, "spec").into_iter().for_each(pod::defaults::spec);
}

/// Defaults of the template at `spec.template`.
pub fn defaults_in(workload: &mut Value) {
    if let Some(spec) = at(workload, "spec") {
        object(spec, "template").into_iter().for_each(defaults);
    }
}

/// Reports what is wrong with a template.
pub fn validate(template: &PodTemplateSpec, path: &Path, errors: &mut FieldErrors) {
    let metadata = template.metadata.clone().unwrap_or_default();
    checks::labels(errors, &path.child("labels"), metadata.labels.as_ref());
    checks::annotations(errors, &path.child("annotations"), metadata.annotations.as_ref());
    let absent = PodSpec::default();
    let spec = template.spec.as_ref().unwrap_or(&absent);
    pod::spec::validate(spec, &path.child("spec"), false, errors);
    if spec.ephemeral_containers.as_ref().is_some_and(|list| !list.is_empty()) {
        let why = "ephemeral containers not allowed in pod template";
        errors.forbidden(&path.child("spec").child("ephemeralContainers"), why);
    }
}

/// Reports what is wrong with the template of a workload whose pods run for ever and are found by `selector`.
pub fn validate_for(
    workload: &str,
    template: &PodTemplateSpec,
    selector: &LabelSelector,
    path: &Path,
    errors: &mut FieldErrors,
) {
    matches_selector(template, selector, path, errors);
    validate(template, path, errors);
    let absent = PodSpec::default();
    let spec = template.spec.as_ref().unwrap_or(&absent);
    let policy = spec.restart_policy.as_deref().unwrap_or_default();
    if policy != "Always" {
        errors.not_supported(&path.child("spec").child("restartPolicy"), policy, &["Always"]);
    }
    if spec.active_deadline_seconds.is_some() {
        let why = format!("activeDeadlineSeconds in {workload} is not Supported");
        errors.forbidden(&path.child("spec").child("activeDeadlineSeconds"), &why);
    }
}

/// Pods made from the template have to be found again; a selector that is missing finds none.
pub fn matches_selector(template: &PodTemplateSpec, selector: &LabelSelector, path: &Path, errors: &mut FieldErrors) {
    let Ok(parsed) = api::LabelSelector::from_object(selector) else { return };
    let labels = template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    if checks::selects_everything(selector) || !parsed.matches_map(labels) {
        let labels: BTreeMap<_, _> = labels.cloned().unwrap_or_default();
        let path = path.child("metadata").child("labels");
        errors.invalid(&path, checks::json(&labels), "`selector` does not match template `labels`");
    }
}

/// Names of the template's containers, as a cell.
pub fn containers(template: Option<&PodTemplateSpec>) -> Value {
    joined(template, |container| Some(&container.name))
}

/// Images of the template's containers, as a cell.
pub fn images(template: Option<&PodTemplateSpec>) -> Value {
    joined(template, |container| container.image.as_ref())
}

fn joined(
    template: Option<&PodTemplateSpec>,
    part: fn(&k8s_openapi::api::core::v1::Container) -> Option<&String>,
) -> Value {
    let containers = template.and_then(|template| template.spec.as_ref()).map(|spec| &spec.containers);
    let parts: Vec<&str> = containers.into_iter().flatten().map(|one| part(one).map_or("", String::as_str)).collect();
    Value::from(parts.join(","))
}
