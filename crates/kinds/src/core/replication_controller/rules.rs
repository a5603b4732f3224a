//! Selector and labels follow the template when they are left out.

use api::{FieldErrors, Path};
use k8s_openapi::api::core::v1::ReplicationController;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

use crate::checks;
use crate::core::pod_template;
use crate::value::{clear_status, default, object, put};

/// Defaults of a ReplicationController.
pub fn defaults(controller: &mut Value) {
    let labels = controller["spec"]["template"]["metadata"]["labels"].clone();
    if labels.is_object() {
        let empty = |value: &Value| value.as_object().is_none_or(serde_json::Map::is_empty);
        for (part, field) in [("spec", "selector"), ("metadata", "labels")] {
            if let Some(part) = object(controller, part)
                && empty(&part[field])
            {
                put(part, field, labels.clone());
            }
        }
    }
    object(controller, "spec").into_iter().for_each(|spec| default(spec, "replicas", 1));
    pod_template::defaults_in(controller);
}

/// On create there is no status yet.
pub fn prepare(controller: &mut Value, old: Option<&Value>) {
    clear_status(controller, old);
    if old.is_none() && controller.is_object() {
        put(controller, "status", json!({ "replicas": 0 }));
    }
}

/// Reports everything that is wrong.
pub fn validate(controller: &ReplicationController, _: Option<&ReplicationController>, errors: &mut FieldErrors) {
    let spec = controller.spec.clone().unwrap_or_default();
    let path = Path::new("spec");
    checks::maybe_not_negative(errors, &path.child("minReadySeconds"), spec.min_ready_seconds);
    if spec.selector.as_ref().is_none_or(|selector| selector.is_empty()) {
        errors.required(&path.child("selector"), "");
    }
    match spec.replicas {
        None => errors.required(&path.child("replicas"), ""),
        Some(replicas) => checks::not_negative(errors, &path.child("replicas"), replicas),
    }
    let path = path.child("template");
    let Some(template) = &spec.template else { return errors.required(&path, "") };
    let selector = LabelSelector { match_labels: spec.selector, ..LabelSelector::default() };
    pod_template::validate_for("ReplicationController", template, &selector, &path, errors);
}
