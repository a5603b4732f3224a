//! Keys, sizes, and what `immutable` means.

use api::{FieldErrors, Path, names};
use k8s_openapi::api::core::v1::ConfigMap;

use crate::checks;

/// Bytes of all values of a ConfigMap or Secret together: 1 MiB.
pub const SIZE_MAX: usize = 1 << 20;

/// Reports everything that is wrong.
pub fn validate(map: &ConfigMap, old: Option<&ConfigMap>, errors: &mut FieldErrors) {
    if let Some(old) = old.filter(|old| old.immutable == Some(true)) {
        immutable(map.immutable, "data", map.data != old.data, errors);
        if map.binary_data != old.binary_data {
            errors.forbidden(&Path::new("binaryData"), IMMUTABLE);
        }
    }
    let mut size = 0;
    for (key, value) in map.data.iter().flatten() {
        let path = Path::new("data").key(key);
        checks::name(errors, &path, key, names::config_key);
        if map.binary_data.as_ref().is_some_and(|data| data.contains_key(key)) {
            errors.invalid(&path, key.as_str(), "duplicate of key present in binaryData");
        }
        size += value.len();
    }
    for (key, value) in map.binary_data.iter().flatten() {
        checks::name(errors, &Path::new("binaryData").key(key), key, names::config_key);
        size += value.0.len();
    }
    if size > SIZE_MAX {
        errors.too_long(&Path::default(), SIZE_MAX);
    }
}

const IMMUTABLE: &str = "field is immutable when `immutable` is set";

/// Reports what may not happen to an object that was made immutable.
pub fn immutable(still: Option<bool>, field: &str, changed: bool, errors: &mut FieldErrors) {
    if still != Some(true) {
        errors.forbidden(&Path::new("immutable"), IMMUTABLE);
    }
    if changed {
        errors.forbidden(&Path::new(field), IMMUTABLE);
    }
}
