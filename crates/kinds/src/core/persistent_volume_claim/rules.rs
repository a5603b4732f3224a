//! A claim says once what it wants; later it can only grow.

use api::{FieldErrors, Path, Quantity};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec};
use serde_json::{Value, json};

use crate::checks;
use crate::core::persistent_volume::rules::{access_modes, storage_amount};
use crate::core::pod::defaults::claim_spec;
use crate::value::{default_text, object, put};

/// Defaults of a claim.
pub fn defaults(claim: &mut Value) {
    object(claim, "spec").into_iter().for_each(claim_spec);
    object(claim, "status").into_iter().for_each(|status| default_text(status, "phase", "Pending"));
}

/// A new claim is pending.
pub fn prepare(claim: &mut Value, old: Option<&Value>) {
    if old.is_none() && claim.is_object() {
        put(claim, "status", json!({ "phase": "Pending" }));
    }
}

fn size(spec: &PersistentVolumeClaimSpec) -> Option<&str> {
    let requests = spec.resources.as_ref()?.requests.as_ref()?;
    requests.get("storage").map(|amount| amount.0.as_str())
}

/// Reports everything that is wrong.
pub fn validate(claim: &PersistentVolumeClaim, old: Option<&PersistentVolumeClaim>, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    let spec = claim.spec.clone().unwrap_or_default();
    access_modes(spec.access_modes.as_deref(), &path.child("accessModes"), errors);
    if let Some(selector) = &spec.selector {
        checks::selector(errors, &path.child("selector"), selector);
    }
    let size_path = path.child("resources").key("storage");
    match size(&spec) {
        None => errors.required(&size_path, ""),
        Some(amount) => storage_amount(amount, &size_path, errors),
    }
    if let Some(class) = spec.storage_class_name.as_deref().filter(|class| !class.is_empty()) {
        checks::name(errors, &path.child("storageClassName"), class, checks::SUBDOMAIN);
    }
    checks::maybe_one_of(errors, &path.child("volumeMode"), spec.volume_mode.as_deref(), &["Block", "Filesystem"]);
    let Some(old) = old else { return };
    update(claim, spec, old, &path, errors);
}

fn update(
    claim: &PersistentVolumeClaim,
    mut spec: PersistentVolumeClaimSpec,
    old: &PersistentVolumeClaim,
    path: &Path,
    errors: &mut FieldErrors,
) {
    let before = old.spec.clone().unwrap_or_default();
    let parsed = |spec: &PersistentVolumeClaimSpec| size(spec).and_then(|amount| Quantity::parse(amount).ok());
    if parsed(&spec) < parsed(&before) {
        let status = old.status.as_ref().and_then(|status| status.capacity.as_ref());
        let has = status.and_then(|amounts| amounts.get("storage")).and_then(|amount| Quantity::parse(&amount.0).ok());
        if parsed(&spec) <= has.or(Some(Quantity::ZERO)) || has.is_none() {
            let path = path.child("resources").child("requests").child("storage");
            errors.forbidden(&path, "field can not be less than status.capacity");
        }
    }
    // The volume and the class can be given once, and a bound claim can grow.
    if before.volume_name.as_deref().unwrap_or_default().is_empty() {
        spec.volume_name.clone_from(&before.volume_name);
    }
    if before.storage_class_name.is_none() {
        spec.storage_class_name = None;
    }
    if claim.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Bound")) {
        if let (Some(resources), Some(amount)) = (&mut spec.resources, size(&before)) {
            let amount = k8s_openapi::apimachinery::pkg::api::resource::Quantity(amount.to_owned());
            resources.requests.get_or_insert_default().insert("storage".to_owned(), amount);
        }
        spec.volume_attributes_class_name.clone_from(&before.volume_attributes_class_name);
    }
    if spec != before {
        let why =
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        errors.forbidden(path, why);
    }
}
