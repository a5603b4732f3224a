//! JSON merge patch (RFC 7386).

use serde_json::Value;

use super::{PatchError, refuse_deep};

/// Applies a JSON merge patch.
///
/// # Errors
/// When the patch is not an object, or nested too deep.
pub fn merge_patch(target: &Value, patch: &Value) -> Result<Value, PatchError> {
    if !patch.is_object() {
        let found = crate::schema::json_type(patch);
        let reason = format!("json: cannot unmarshal {found} into Go value of type map[string]interface {{}}");
        return Err(PatchError::Malformed(format!("error decoding patch: {reason}")));
    }
    refuse_deep(patch)?;
    refuse_deep(target)?;
    let mut result = target.clone();
    json_patch::merge(&mut result, patch);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::merge_patch;

    #[test]
    fn the_examples_of_rfc_7386_hold() {
        let cases = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
            (json!({"a": "b"}), json!({"a": null}), json!({})),
            (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
            (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
            (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
            (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
            (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
            (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
        ];
        for (target, patch, expected) in cases {
            assert_eq!(merge_patch(&target, &patch).unwrap(), expected, "{target} + {patch}");
        }
    }

    #[test]
    fn a_patch_that_is_no_object_is_refused() {
        for patch in [json!([1]), json!("x"), json!(null), json!(1), json!(true)] {
            assert_eq!(merge_patch(&json!({}), &patch).unwrap_err().code(), 400);
        }
    }

    #[test]
    fn a_patch_too_deep_is_refused() {
        let mut deep = Value::Null;
        for _ in 0..1000 {
            deep = json!({"a": deep});
        }
        assert_eq!(merge_patch(&json!({}), &deep).unwrap_err().code(), 422);
    }
}
