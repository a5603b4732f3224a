//! Defaults and validation of volumes. Sources are checked by the schema, and that there is exactly one.

use api::{FieldErrors, Path, Quantity};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeSpec};
use serde_json::{Value, json};

use crate::checks;
use crate::core::pod::defaults::quantities;
use crate::core::pod::spec::node_selector;
use crate::value::{at, default, default_text, object, put};

const ACCESS_MODES: &[&str] = &["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/// Fields of the spec that are not the source of the volume.
const NOT_SOURCES: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

/// Defaults of a volume.
pub fn defaults(volume: &mut Value) {
    if let Some(spec) = object(volume, "spec") {
        default_text(spec, "persistentVolumeReclaimPolicy", "Retain");
        default_text(spec, "volumeMode", "Filesystem");
        quantities(spec, "capacity");
        at(spec, "hostPath").into_iter().for_each(|source| default(source, "type", ""));
    }
    object(volume, "status").into_iter().for_each(|status| default_text(status, "phase", "Pending"));
}

/// A new volume is pending.
pub fn prepare(volume: &mut Value, old: Option<&Value>) {
    if old.is_none() && volume.is_object() {
        put(volume, "status", json!({ "phase": "Pending" }));
    }
}

/// Reports everything that is wrong.
pub fn validate(volume: &PersistentVolume, old: Option<&PersistentVolume>, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    let spec = volume.spec.clone().unwrap_or_default();
    access_modes(spec.access_modes.as_deref(), &path.child("accessModes"), errors);
    capacity(&spec, &path.child("capacity"), errors);
    let given = sources(&spec);
    match given.as_slice() {
        [] => errors.required(&path, "must specify a volume type"),
        [_, others @ ..] => {
            for field in others {
                errors.forbidden(&path.child(field), "may not specify more than 1 volume type");
            }
        }
    }
    let policies = ["Delete", "Recycle", "Retain"];
    let policy = spec.persistent_volume_reclaim_policy.as_deref();
    checks::maybe_one_of(errors, &path.child("persistentVolumeReclaimPolicy"), policy, &policies);
    checks::maybe_one_of(errors, &path.child("volumeMode"), spec.volume_mode.as_deref(), &["Block", "Filesystem"]);
    if let Some(class) = spec.storage_class_name.as_deref().filter(|class| !class.is_empty()) {
        checks::name(errors, &path.child("storageClassName"), class, checks::SUBDOMAIN);
    }
    let affinity = spec.node_affinity.as_ref();
    if let Some(required) = affinity.and_then(|affinity| affinity.required.as_ref()) {
        node_selector(required, &path.child("nodeAffinity").child("required"), errors);
    }
    if spec.local.is_some() && affinity.is_none() {
        errors.required(&path.child("nodeAffinity"), "Local volume requires node affinity");
    }
    let Some(before) = old.and_then(|old| old.spec.as_ref()) else { return };
    if sources(before) == given && source_of(before) != source_of(&spec) {
        errors.forbidden(
            &path.child("persistentvolumesource"),
            "spec.persistentvolumesource is immutable after creation",
        );
    }
    let mode = checks::json(&spec.volume_mode);
    errors.immutable(&path.child("volumeMode"), &spec.volume_mode, &before.volume_mode, mode);
    if before.node_affinity.is_some() {
        let affinity = checks::json(&spec.node_affinity);
        errors.immutable(&path.child("nodeAffinity"), &spec.node_affinity, &before.node_affinity, affinity);
    }
}

/// Reports what is wrong with access modes.
pub fn access_modes(modes: Option<&[String]>, path: &Path, errors: &mut FieldErrors) {
    let modes = modes.unwrap_or_default();
    if modes.is_empty() {
        errors.required(path, "at least 1 access mode is required");
    }
    for mode in modes.iter().filter(|mode| !ACCESS_MODES.contains(&mode.as_str())) {
        errors.not_supported(path, mode.as_str(), ACCESS_MODES);
    }
    let alone = |mode: &String| mode == "ReadWriteOncePod";
    if modes.iter().any(alone) && !modes.iter().all(alone) {
        errors.forbidden(path, "may not use ReadWriteOncePod with other access modes");
    }
}

fn capacity(spec: &PersistentVolumeSpec, path: &Path, errors: &mut FieldErrors) {
    let amounts = spec.capacity.clone().unwrap_or_default();
    if amounts.is_empty() {
        errors.required(path, "");
    }
    if !amounts.contains_key("storage") || amounts.len() > 1 {
        let names: Vec<&str> = amounts.keys().map(String::as_str).collect();
        errors.not_supported(path, names, &["storage"]);
    }
    for (name, amount) in &amounts {
        storage_amount(&amount.0, &path.key(name), errors);
    }
}

/// Reports an amount of storage that is none.
pub fn storage_amount(amount: &str, path: &Path, errors: &mut FieldErrors) {
    match Quantity::parse(amount) {
        Ok(parsed) if parsed > Quantity::ZERO => {}
        Ok(_) => errors.invalid(path, amount, "must be greater than zero"),
        Err(why) => errors.invalid(path, amount, &why.to_string()),
    }
}

fn source_of(spec: &PersistentVolumeSpec) -> Value {
    let mut value = checks::json(spec);
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|field, _| !NOT_SOURCES.contains(&field.as_str()));
    }
    value
}

fn sources(spec: &PersistentVolumeSpec) -> Vec<String> {
    source_of(spec).as_object().into_iter().flatten().map(|(field, _)| field.clone()).collect()
}
