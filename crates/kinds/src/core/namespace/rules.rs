//! A namespace carries its name as a label and is kept from vanishing until it is empty.

use api::{FieldErrors, Path};
use k8s_openapi::api::core::v1::Namespace;
use serde_json::{Value, json};

use crate::checks;
use crate::value::{default_text, object, put, text};

const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The label by which selectors of other objects find the namespace.
pub fn defaults(namespace: &mut Value) {
    if let Some(metadata) = object(namespace, "metadata") {
        let name = text(metadata, "name").to_owned();
        if !name.is_empty()
            && let Some(labels) = object(metadata, "labels")
        {
            put(labels, NAME_LABEL, Value::from(name));
        }
    }
    object(namespace, "status").into_iter().for_each(|status| default_text(status, "phase", "Active"));
}

/// A new namespace is active and has the finalizer; later only the finalize subresource changes the spec.
pub fn prepare(namespace: &mut Value, old: Option<&Value>) {
    if old.is_some() || !namespace.is_object() {
        return;
    }
    put(namespace, "status", json!({ "phase": "Active" }));
    let Some(spec) = object(namespace, "spec") else { return };
    let Some(finalizers) = spec.as_object_mut().map(|spec| spec.entry("finalizers").or_insert_with(|| json!([])))
    else {
        return;
    };
    if finalizers.is_null() {
        *finalizers = json!([]);
    }
    if let Some(list) = finalizers.as_array_mut()
        && !list.iter().any(|one| one == "kubernetes")
    {
        list.push(Value::from("kubernetes"));
    }
}

/// Reports everything that is wrong.
pub fn validate(namespace: &Namespace, old: Option<&Namespace>, errors: &mut FieldErrors) {
    let finalizers = namespace.spec.as_ref().and_then(|spec| spec.finalizers.as_deref()).unwrap_or_default();
    let path = Path::new("spec").child("finalizers");
    for name in finalizers {
        checks::name(errors, &path, name, checks::QUALIFIED);
        if !name.contains('/') && !["kubernetes", "orphan", "foregroundDeletion"].contains(&name.as_str()) {
            let why = "name is neither a standard finalizer name nor is it fully qualified";
            errors.invalid(&path, name.as_str(), why);
        }
    }
    let phase = |namespace: &Namespace| namespace.status.as_ref().and_then(|status| status.phase.clone());
    if old.is_none_or(|old| phase(old) == phase(namespace)) {
        return;
    }
    let wanted = if namespace.metadata.deletion_timestamp.is_none() { "Active" } else { "Terminating" };
    if phase(namespace).as_deref() != Some(wanted) {
        let state = if wanted == "Active" { "empty" } else { "not empty" };
        let why = format!("may only be '{wanted}' if `deletionTimestamp` is {state}");
        errors.invalid(&Path::new("status").child("Phase"), phase(namespace), &why);
    }
}
