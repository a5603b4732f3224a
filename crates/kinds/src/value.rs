//! Steps on JSON values that defaulting and preparing are made of.
//!
//! Every step leaves a value alone that is not of the shape it expects: the schema check has the say about shapes.

use api::Quantity;
use serde_json::{Value, json};

/// Sets `field` unless it is there; `null` counts as absent.
pub fn default(value: &mut Value, field: &str, to: impl Into<Value>) {
    if let Some(map) = value.as_object_mut()
        && map.get(field).is_none_or(Value::is_null)
    {
        map.insert(field.to_owned(), to.into());
    }
}

/// Sets `field` unless it is there and says something: the default of fields whose empty text means «not set».
pub fn default_text(value: &mut Value, field: &str, to: &str) {
    if let Some(map) = value.as_object_mut()
        && map.get(field).is_none_or(|now| now.is_null() || now.as_str() == Some(""))
    {
        map.insert(field.to_owned(), Value::from(to));
    }
}

/// Sets `field` of an object.
pub fn put(value: &mut Value, field: &str, to: impl Into<Value>) {
    if let Some(map) = value.as_object_mut() {
        map.insert(field.to_owned(), to.into());
    }
}

/// The object at `field`, made when it is absent; `None` when `value` or the field is something else.
pub fn object<'a>(value: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    let child = value.as_object_mut()?.entry(field).or_insert_with(|| json!({}));
    if child.is_null() {
        *child = json!({});
    }
    child.is_object().then_some(child)
}

/// The value at `field`, when it is there and not `null`.
pub fn at<'a>(value: &'a mut Value, field: &str) -> Option<&'a mut Value> {
    value.as_object_mut()?.get_mut(field).filter(|child| !child.is_null())
}

/// The value at a dotted path, when it is there and not `null`.
pub fn deep<'a>(value: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    path.split('.').try_fold(value, at)
}

/// The elements of the list at `field`.
pub fn each<'a>(value: &'a mut Value, field: &str) -> impl Iterator<Item = &'a mut Value> + use<'a> {
    at(value, field).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Takes `field` out.
pub fn remove(value: &mut Value, field: &str) -> Option<Value> {
    value.as_object_mut()?.remove(field)
}

/// Moves what is at `from` to `to`.
pub fn rename(value: &mut Value, from: &str, to: &str) {
    if let Some(child) = remove(value, from) {
        put(value, to, child);
    }
}

/// Whether the object has `field`, `null` counting as absent.
pub fn has(value: &Value, field: &str) -> bool {
    value.get(field).is_some_and(|child| !child.is_null())
}

/// The text at `field`; empty when absent.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// On create: no status yet. On update the server carries the old one over.
pub fn clear_status(value: &mut Value, old: Option<&Value>) {
    if old.is_none() {
        remove(value, "status");
    }
}

/// An amount, written as text or as a number.
pub fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => Quantity::parse(text).ok(),
        Value::Number(number) => Quantity::parse(&number.to_string()).ok(),
        _ => None,
    }
}
