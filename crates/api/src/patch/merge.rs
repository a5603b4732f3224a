//! JSON merge patch (RFC 7386).

use serde_json::Value;

use super::PatchError;

/// Applies a JSON merge patch.
///
/// # Errors
/// When the patch is not an object, or nested too deep.
pub fn merge_patch(target: &Value, patch: &Value) -> Result<Value, PatchError> {
    if !patch.is_object() {
        return Err(PatchError::Malformed("Invalid JSON Patch".into()));
    }
    let mut result = target.clone();
    json_patch::merge(&mut result, patch);
    Ok(result)
}
