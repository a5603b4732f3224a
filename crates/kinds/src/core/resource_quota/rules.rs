//! What can be bounded, and for which pods.

use api::{FieldErrors, Path};
use k8s_openapi::api::core::v1::ResourceQuota;
use serde_json::Value;

use crate::checks;
use crate::core::pod::defaults::quantities;
use crate::core::pod::spec::resources;
use crate::value::{at, object};

const SCOPES: &[&str] = &[
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];

/// Amounts are kept in thousandths.
pub fn defaults(quota: &mut Value) {
    object(quota, "spec").into_iter().for_each(|spec| quantities(spec, "hard"));
    if let Some(status) = at(quota, "status") {
        quantities(status, "hard");
        quantities(status, "used");
    }
}

/// Reports everything that is wrong.
pub fn validate(quota: &ResourceQuota, old: Option<&ResourceQuota>, errors: &mut FieldErrors) {
    let path = Path::new("spec");
    let spec = quota.spec.clone().unwrap_or_default();
    for (name, amount) in spec.hard.iter().flatten() {
        let path = path.child("hard").key(name);
        let before = errors.0.len();
        checks::name(errors, &path, name, checks::QUALIFIED);
        let object_count = name.starts_with("count/");
        if errors.0.len() == before && !name.contains('/') && !object_count {
            resources::name(name, &path, errors);
        }
        resources::amount(name, amount, &path, errors);
    }
    let scopes = spec.scopes.as_deref().unwrap_or_default();
    let scopes_path = path.child("scopes");
    for scope in scopes {
        if !SCOPES.contains(&scope.as_str()) {
            errors.invalid(&scopes_path, scopes, "unsupported scope");
        }
    }
    for (one, other) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
        if [one, other].iter().all(|scope| scopes.iter().any(|given| given == scope)) {
            errors.invalid(&scopes_path, scopes, "conflicting scopes");
        }
    }
    if let Some(old) = old.and_then(|old| old.spec.as_ref()) {
        let before = old.scopes.as_deref().unwrap_or_default();
        if before != scopes {
            errors.invalid(&scopes_path, scopes, "field is immutable");
        }
    }
}
