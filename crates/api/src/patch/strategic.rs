//! Strategic merge patch: a merge patch in which the schema says how lists merge, and directives say the rest.
//!
//! Directives: `$patch: replace|delete|merge`, `$setElementOrder/LIST`, `$deleteFromPrimitiveList/LIST` and
//! `$retainKeys`. Results, errors and their HTTP status are those of kube-apiserver 1.37, with two kindnesses: directives
//! inside values that are new are dropped wherever they stand, and free-form values merge like plain JSON.

use serde_json::{Map, Value};

use super::go_value::go_value;
use super::lists::{merge_list, merge_ordered_list};
use super::{PatchError, refuse_deep};
use crate::schema::{Schema, json_type};

/// A JSON object.
pub(super) type Object = Map<String, Value>;

pub(super) const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList";
const SET_ORDER: &str = "$setElementOrder";

/// Applies a strategic merge patch to an object of the type that `schema` describes.
///
/// # Errors
/// When the patch is malformed, lacks a merge key, mixes types in a list, or orders a list that does not exist.
pub fn strategic_merge(target: &Value, patch: &Value, schema: Schema<'_>) -> Result<Value, PatchError> {
    refuse_deep(patch)?;
    refuse_deep(target)?;
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            merge_object(target.clone(), patch.clone(), Some(schema)).map(Value::Object)
        }
        (_, Value::Object(_)) => Err(PatchError::Malformed("invalid JSON document".into())),
        (_, other) => {
            let found = json_type(other);
            let reason = format!("json: cannot unmarshal {found} into Go value of type map[string]interface {{}}");
            Err(PatchError::Malformed(reason))
        }
    }
}

/// Merges one object; `schema` is `None` below free-form values.
pub(super) fn merge_object(
    mut original: Object,
    mut patch: Object,
    schema: Option<Schema<'_>>,
) -> Result<Object, PatchError> {
    if let Some(directive) = patch.remove(DIRECTIVE) {
        return replace_or_delete(&directive, patch);
    }
    retain_keys(&mut original, &mut patch)?;
    order_lists(&mut original, &mut patch, schema)?;
    for (name, value) in patch {
        match directed_at(&name, DELETE_FROM, "primitive list")? {
            Some(list) => delete_from(&mut original, list, value, schema)?,
            None => merge_field(&mut original, &name, value, schema)?,
        }
    }
    Ok(original)
}

/// Obeys a `$patch` that stands in an object.
fn replace_or_delete(directive: &Value, patch: Object) -> Result<Object, PatchError> {
    match directive.as_str() {
        Some("replace") => Ok(patch),
        Some("delete") => Ok(Object::new()),
        _ => Err(unknown_directive(directive, patch)),
    }
}

pub(super) fn unknown_directive(directive: &Value, mut patch: Object) -> PatchError {
    patch.insert(DIRECTIVE.into(), directive.clone());
    let (directive, map) = (go_value(directive), go_value(&Value::Object(patch)));
    PatchError::Failed(format!("unknown patch type: {directive} in map: {map}"))
}

/// `$retainKeys` clears what it does not list; the patch may set only what it lists.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), PatchError> {
    let Some(directive) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let malformed = || PatchError::Malformed("invalid patch format of retainKeys".into());
    let Value::Array(kept) = &directive else { return Err(malformed()) };
    let kept: Vec<&str> = kept.iter().filter_map(Value::as_str).collect();
    for (name, value) in &*patch {
        let directive = name.starts_with(DELETE_FROM) || name.starts_with(SET_ORDER);
        if !value.is_null() && !directive && !kept.contains(&name.as_str()) {
            return Err(malformed());
        }
    }
    original.retain(|name, _| kept.contains(&name.as_str()));
    Ok(())
}

/// Merges and orders every list that the patch gives an order for, and takes both out of the patch.
fn order_lists(original: &mut Object, patch: &mut Object, schema: Option<Schema<'_>>) -> Result<(), PatchError> {
    let directives: Vec<String> = patch.keys().filter(|name| name.starts_with(SET_ORDER)).cloned().collect();
    for directive in directives {
        let Some(order) = patch.remove(&directive) else { continue };
        let Some(name) = directed_at(&directive, SET_ORDER, "setElementOrder list")? else { continue };
        let order = array(order)?;
        let field = lookup(schema, name)?;
        let theirs = patch.remove(name).map(array).transpose()?;
        let ours = match original.remove(name) {
            None => None,
            Some(Value::Array(items)) => Some(items),
            Some(other) => return Err(wrong_type("[]interface {}", &other)),
        };
        if let Some(merged) = merge_ordered_list(ours, theirs, &order, field)? {
            original.insert(name.to_owned(), Value::Array(merged));
        }
    }
    Ok(())
}

fn array(value: Value) -> Result<Vec<Value>, PatchError> {
    match value {
        Value::Array(items) => Ok(items),
        other => Err(wrong_type("[]interface {}", &other)),
    }
}

/// Removes values from a list of scalars, whatever its patch strategy.
fn delete_from(original: &mut Object, name: &str, doomed: Value, schema: Option<Schema<'_>>) -> Result<(), PatchError> {
    if doomed.is_null() {
        original.remove(name);
        return Ok(());
    }
    let (Some(Value::Array(current)), Value::Array(doomed)) = (original.get_mut(name), doomed) else { return Ok(()) };
    if current.first().is_some_and(Value::is_object) {
        let merged = merge_list(std::mem::take(current), doomed, lookup(schema, name)?)?;
        *current = merged;
    } else {
        let doomed: std::collections::HashSet<Value> = doomed.into_iter().collect();
        current.retain(|value| !doomed.contains(value));
    }
    Ok(())
}

/// Merges one field that no directive is about.
fn merge_field(original: &mut Object, name: &str, value: Value, schema: Option<Schema<'_>>) -> Result<(), PatchError> {
    if value.is_null() {
        original.remove(name);
        return Ok(());
    }
    let merged = match (original.remove(name), value) {
        (Some(Value::Object(ours)), Value::Object(theirs)) => {
            let field = lookup(schema, name)?;
            if field.is_some_and(|field| field.patch_strategy().replace) {
                Some(Value::Object(theirs))
            } else {
                Some(Value::Object(merge_object(ours, theirs, field)?))
            }
        }
        (Some(Value::Array(ours)), Value::Array(theirs)) => {
            let field = lookup(schema, name)?;
            if field.is_some_and(|field| field.patch_strategy().merge) {
                Some(Value::Array(merge_list(ours, theirs, field)?))
            } else {
                Some(Value::Array(theirs))
            }
        }
        (_, new) => without_directives(new),
    };
    if let Some(merged) = merged {
        original.insert(name.to_owned(), merged);
    }
    Ok(())
}

/// A new value as it is stored: without nulls in objects, and without anything that a directive is part of.
pub(super) fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(fields) if fields.contains_key(DIRECTIVE) => None,
        Value::Object(fields) => {
            let is_directive =
                |name: &str| name == RETAIN_KEYS || name.starts_with(DELETE_FROM) || name.starts_with(SET_ORDER);
            let kept = fields
                .into_iter()
                .filter(|(name, field)| !field.is_null() && !is_directive(name))
                .filter_map(|(name, field)| Some((name, without_directives(field)?)));
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(without_directives).collect())),
        scalar => Some(scalar),
    }
}

/// The list that a directive's name is about: `LIST` of `$prefix/LIST`.
fn directed_at<'n>(name: &'n str, prefix: &str, what: &str) -> Result<Option<&'n str>, PatchError> {
    let Some(rest) = name.strip_prefix(prefix) else { return Ok(None) };
    match rest.strip_prefix('/') {
        Some(list) => Ok(Some(list)),
        None => Err(PatchError::Malformed(format!("invalid patch format of {what}"))),
    }
}

/// The schema of a field; `None` below free-form values.
fn lookup<'a>(schema: Option<Schema<'a>>, name: &str) -> Result<Option<Schema<'a>>, PatchError> {
    let Some(schema) = schema else { return Ok(None) };
    if let Some(field) = schema.field(name) {
        return Ok(Some(field));
    }
    if schema.is_open() {
        return Ok(None);
    }
    let owner = schema.definition().map_or("", |definition| definition.short_name());
    Err(PatchError::Failed(format!("unable to find api field in struct {owner} for the json field \"{name}\"")))
}

pub(super) fn wrong_type(expected: &str, found: &Value) -> PatchError {
    let found = match found {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    };
    PatchError::Failed(format!("expected a {expected}, but received a {found}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::strategic_merge;
    use crate::schema::{Definition, Reader, Schema, SchemaSet};

    /// The rules at work on a small type; the cases on real kinds are beside the schemas of those.
    #[test]
    fn the_schema_decides_how_lists_merge() {
        let node = Reader::default().read(&json!({"type": "object", "properties": {
            "keyed": {"type": "array", "items": {"type": "object", "properties": {"k": {}, "v": {}}},
                      "x-kubernetes-patch-strategy": "merge", "x-kubernetes-patch-merge-key": "k"},
            "keyless": {"type": "array", "items": {"type": "object"}, "x-kubernetes-patch-strategy": "merge"},
            "set": {"type": "array", "items": {"type": "string"}, "x-kubernetes-patch-strategy": "merge"},
            "whole": {"type": "array", "items": {"type": "string"}},
            "swap": {"type": "object", "additionalProperties": {"type": "string"},
                     "x-kubernetes-patch-strategy": "replace"},
        }}));
        let definition = Definition { name: "x.v1.T".into(), node: node.unwrap(), kinds: Vec::new() };
        let set = SchemaSet::default();
        let schema = Schema::new(&set, &definition);
        let target = json!({
            "keyed": [{"k": 1, "v": 1}, {"k": 2}], "set": ["a"], "whole": ["a"], "swap": {"a": "b"}, "keyless": [{"k": 1}]
        });
        let patch = json!({"keyed": [{"k": 1, "v": 2}], "set": ["b"], "whole": ["b"], "swap": {"c": "d"}});
        let expected = json!({
            "keyed": [{"k": 1, "v": 2}, {"k": 2}], "set": ["b", "a"], "whole": ["b"], "swap": {"c": "d"},
            "keyless": [{"k": 1}]
        });
        assert_eq!(strategic_merge(&target, &patch, schema), Ok(expected));
        let error = strategic_merge(&target, &json!({"keyless": [{"k": 2}]}), schema).unwrap_err();
        assert_eq!(error.to_string(), "cannot merge lists without merge key for struct");
    }
}
