//! JSON patch (RFC 6902) with the limits of the Kubernetes API server.

use json_patch::{Patch, PatchErrorKind, PatchOperation};
use serde_json::Value;

use super::{MAX_DEPTH, PatchError};
use crate::schema::depth_within;

/// Most operations in one patch.
pub const MAX_OPERATIONS: usize = 10_000;

/// Most bytes that the `copy` operations of one patch may add.
pub const MAX_COPY_BYTES: usize = 3 * 1024 * 1024;

/// Applies a JSON patch.
///
/// # Errors
/// When the patch is malformed, too large, or does not fit `target`.
pub fn json_patch(target: &Value, patch: &Value) -> Result<Value, PatchError> {
    let Value::Array(operations) = patch else {
        let found = crate::schema::json_type(patch);
        return Err(PatchError::Malformed(format!(
            "json: cannot unmarshal {found} into Go value of type jsonpatch.Patch"
        )));
    };
    if operations.len() > MAX_OPERATIONS {
        let given = operations.len();
        let reason = format!("The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {given}");
        return Err(PatchError::TooLarge(reason));
    }
    // Reading may recurse into the values.
    super::refuse_deep(patch)?;
    let Patch(operations) =
        serde_json::from_value(patch.clone()).map_err(|err| PatchError::Malformed(err.to_string()))?;

    let mut result = target.clone();
    let mut copied = 0;
    for operation in &operations {
        admit(operation, &result, &mut copied)?;
        json_patch::patch_unsafe(&mut result, std::slice::from_ref(operation))
            .map_err(|err| not_applicable(operation, &err.kind))?;
    }
    Ok(result)
}

/// Refuses what would nest the result too deep, or copy too much.
fn admit(operation: &PatchOperation, document: &Value, copied: &mut usize) -> Result<(), PatchError> {
    let brought = match operation {
        PatchOperation::Add(add) => Some(&add.value),
        PatchOperation::Replace(replace) => Some(&replace.value),
        PatchOperation::Move(moved) => document.pointer(moved.from.as_str()),
        PatchOperation::Copy(copy) => document.pointer(copy.from.as_str()),
        PatchOperation::Remove(_) | PatchOperation::Test(_) => None,
    };
    let Some(brought) = brought else { return Ok(()) };
    let above = operation.path().as_str().matches('/').count();
    if !depth_within(brought, MAX_DEPTH.saturating_sub(above)) {
        let reason = format!("patch nests the object more than {MAX_DEPTH} levels deep; flatten it");
        return Err(PatchError::NotApplicable(reason));
    }
    if matches!(operation, PatchOperation::Copy(_)) {
        *copied += brought.to_string().len();
        if *copied > MAX_COPY_BYTES {
            return Err(PatchError::TooLarge(format!(
                "Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the limit {MAX_COPY_BYTES}"
            )));
        }
    }
    Ok(())
}

fn not_applicable(operation: &PatchOperation, kind: &PatchErrorKind) -> PatchError {
    let (name, from) = match operation {
        PatchOperation::Add(_) => ("add", None),
        PatchOperation::Remove(_) => ("remove", None),
        PatchOperation::Replace(_) => ("replace", None),
        PatchOperation::Move(moved) => ("move", Some(&moved.from)),
        PatchOperation::Copy(copy) => ("copy", Some(&copy.from)),
        PatchOperation::Test(_) => ("test", None),
    };
    let path = operation.path();
    PatchError::NotApplicable(match (kind, from) {
        (PatchErrorKind::TestFailed, _) => format!("testing value {path} failed: test failed"),
        (PatchErrorKind::InvalidFromPointer, Some(from)) => {
            format!("{name} operation does not apply: doc is missing from path: \"{from}\": missing value")
        }
        (PatchErrorKind::InvalidPointer, _) => {
            format!("{name} operation does not apply: doc is missing path: \"{path}\": missing value")
        }
        (other, _) => format!("{name} operation at \"{path}\" does not apply: {other}"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::json_patch;
    use crate::schema::{MAX_DEPTH, depth_within};

    #[test]
    fn operations_apply_in_order() {
        let cases = [
            (json!({"a": 1}), json!([{"op": "add", "path": "/b", "value": 2}]), json!({"a": 1, "b": 2})),
            (json!({"a": 1}), json!([{"op": "remove", "path": "/a"}]), json!({})),
            (json!({"a": 1}), json!([{"op": "replace", "path": "/a", "value": [1]}]), json!({"a": [1]})),
            (json!({"a": [1, 3]}), json!([{"op": "add", "path": "/a/1", "value": 2}]), json!({"a": [1, 2, 3]})),
            (json!({"a": [1]}), json!([{"op": "add", "path": "/a/-", "value": 2}]), json!({"a": [1, 2]})),
            (json!({"a": {"b": 1}}), json!([{"op": "move", "from": "/a/b", "path": "/c"}]), json!({"a": {}, "c": 1})),
            (
                json!({"a": {"b": 1}}),
                json!([{"op": "copy", "from": "/a", "path": "/c"}]),
                json!({"a": {"b": 1}, "c": {"b": 1}}),
            ),
            (json!({"a": 1}), json!([{"op": "test", "path": "/a", "value": 1}]), json!({"a": 1})),
            (json!({"a~b/c": 1}), json!([{"op": "replace", "path": "/a~0b~1c", "value": 2}]), json!({"a~b/c": 2})),
            (json!({"a": 1}), json!([{"op": "replace", "path": "", "value": {}}]), json!({})),
            (json!({}), json!([]), json!({})),
        ];
        for (target, patch, expected) in cases {
            assert_eq!(json_patch(&target, &patch).unwrap(), expected, "{target} + {patch}");
        }
    }

    #[test]
    fn errors_say_what_does_not_apply() {
        let target = json!({"a": 1, "list": [1]});
        let cases = [
            (json!({"op": "add"}), 400, "json: cannot unmarshal object into Go value of type jsonpatch.Patch"),
            (json!([{"op": "test", "path": "/a", "value": 2}]), 422, "testing value /a failed: test failed"),
            (
                json!([{"op": "replace", "path": "/x/y", "value": 2}]),
                422,
                "replace operation does not apply: doc is missing path: \"/x/y\": missing value",
            ),
            (
                json!([{"op": "remove", "path": "/x"}]),
                422,
                "remove operation does not apply: doc is missing path: \"/x\": missing value",
            ),
            (
                json!([{"op": "copy", "from": "/x", "path": "/y"}]),
                422,
                "copy operation does not apply: doc is missing from path: \"/x\": missing value",
            ),
            (
                json!([{"op": "add", "path": "/list/7", "value": 2}]),
                422,
                "add operation does not apply: doc is missing path: \"/list/7\": missing value",
            ),
        ];
        for (patch, code, text) in cases {
            let error = json_patch(&target, &patch).unwrap_err();
            assert_eq!((error.code(), error.to_string().as_str()), (code, text), "{patch}");
        }
        for patch in
            [json!([{"op": "spin", "path": "/a"}]), json!([{"op": "add", "path": "a", "value": 1}]), json!([3])]
        {
            assert_eq!(json_patch(&target, &patch).unwrap_err().code(), 400, "{patch}");
        }
    }

    #[test]
    fn limits_are_those_of_the_api_server() {
        let operation = json!({"op": "test", "path": "/a", "value": 1});
        let many = Value::Array(vec![operation; 10_001]);
        let error = json_patch(&json!({"a": 1}), &many).unwrap_err();
        assert_eq!(error.to_string(), "The allowed maximum operations in a JSON patch is 10000, got 10001");
        assert_eq!(error.code(), 413);

        // Doubling a kilobyte thirty times would be a terabyte.
        let doubling = Value::Array(vec![json!({"op": "copy", "from": "/a", "path": "/a/-"}); 30]);
        let error = json_patch(&json!({"a": ["x".repeat(1024)]}), &doubling).unwrap_err();
        assert_eq!(error.code(), 413, "{error}");
    }

    #[test]
    fn a_result_is_never_nested_too_deep() {
        let nest = vec![
            json!({"op": "copy", "from": "/a", "path": "/b"}),
            json!({"op": "replace", "path": "/a", "value": {}}),
            json!({"op": "move", "from": "/b", "path": "/a/a"}),
        ];
        let patch = Value::Array(nest.into_iter().cycle().take(900).collect());
        assert_eq!(json_patch(&json!({"a": {}}), &patch).unwrap_err().code(), 422);
        let patch = json!([{"op": "add", "path": "/x", "value": 1}]);
        assert!(depth_within(&json_patch(&json!({}), &patch).unwrap(), MAX_DEPTH));
    }
}
