//! Defaults and validation of ReplicaSets.

use api::{FieldErrors, Path};
use k8s_openapi::api::apps::v1::ReplicaSet;
use serde_json::{Value, json};

use crate::apps::selector;
use crate::checks;
use crate::core::pod_template;
use crate::value::{default, object, put};

/// Defaults of a ReplicaSet.
pub fn defaults(set: &mut Value) {
    object(set, "spec").into_iter().for_each(|spec| default(spec, "replicas", 1));
    pod_template::defaults_in(set);
}

/// On create there are no replicas yet.
pub fn prepare(set: &mut Value, old: Option<&Value>) {
    if old.is_none() && set.is_object() {
        put(set, "status", json!({ "replicas": 0 }));
    }
}

/// Reports everything that is wrong.
pub fn validate(set: &ReplicaSet, old: Option<&ReplicaSet>, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    let spec = &set.spec;
    let old_spec = old.map(|old| &old.spec);
    checks::maybe_not_negative(errors, &path.child("replicas"), spec.replicas);
    checks::maybe_not_negative(errors, &path.child("minReadySeconds"), spec.min_ready_seconds);
    selector::validate(&spec.selector, old_spec.map(|spec| &spec.selector), errors);
    let path = path.child("template");
    let template = spec.template.clone().unwrap_or_default();
    pod_template::validate_for("ReplicaSet", &template, &spec.selector, &path, errors);
}
