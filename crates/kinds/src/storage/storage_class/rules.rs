//! A class is decided once: volumes were made by it.

use api::{FieldErrors, Path};
use k8s_openapi::api::storage::v1::StorageClass;
use serde_json::Value;

use crate::checks;
use crate::value::default_text;

/// Defaults of a StorageClass.
pub fn defaults(class: &mut Value) {
    default_text(class, "reclaimPolicy", "Delete");
    default_text(class, "volumeBindingMode", "Immediate");
}

/// Reports everything that is wrong.
pub fn validate(class: &StorageClass, old: Option<&StorageClass>, errors: &mut FieldErrors) {
    let path = Path::new("provisioner");
    let provisioner = class.provisioner.to_lowercase();
    checks::required_name(errors, &path, Some(&provisioner), checks::QUALIFIED);
    for key in class.parameters.iter().flatten().map(|(key, _)| key).filter(|key| key.is_empty()) {
        errors.invalid(&Path::new("parameters"), key.as_str(), "field can not be empty.");
    }
    let policies = ["Delete", "Retain"];
    checks::maybe_one_of(errors, &Path::new("reclaimPolicy"), class.reclaim_policy.as_deref(), &policies);
    let modes = ["Immediate", "WaitForFirstConsumer"];
    checks::one_of(errors, &Path::new("volumeBindingMode"), class.volume_binding_mode.as_deref(), &modes);
    let Some(old) = old else { return };
    for (field, changed) in [
        ("parameters", class.parameters != old.parameters),
        ("provisioner", class.provisioner != old.provisioner),
        ("reclaimPolicy", class.reclaim_policy != old.reclaim_policy),
    ] {
        if changed {
            errors.forbidden(&Path::new(field), &format!("updates to {field} are forbidden."));
        }
    }
    let mode = class.volume_binding_mode.as_deref();
    let path = Path::new("volumeBindingMode");
    errors.immutable(&path, &class.volume_binding_mode, &old.volume_binding_mode, mode);
}
