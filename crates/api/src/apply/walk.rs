//! The fields that a value has, and those in which two values differ.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Fields;
use crate::schema::{ListType, MapType, Schema};

/// How a value is taken apart.
pub(super) enum Parts {
    /// Field by field.
    Map,
    /// Item by item; these fields tell them apart.
    Items,
    /// Value by value.
    Set,
    /// Not at all.
    Whole,
}

pub(super) fn parts(value: &Value, schema: Option<Schema<'_>>) -> Parts {
    match value {
        Value::Object(_) if schema.is_some_and(|schema| schema.map_type() == MapType::Atomic) => Parts::Whole,
        Value::Object(_) => Parts::Map,
        Value::Array(items) => match schema.map(|schema| schema.list_type()) {
            Some(ListType::Map) if items.iter().all(Value::is_object) => Parts::Items,
            Some(ListType::Set) => Parts::Set,
            _ => Parts::Whole,
        },
        _ => Parts::Whole,
    }
}

/// The edge to an item of a list of maps. A key that is missing has its default: every `protocol` that is one is TCP.
pub(super) fn key(item: &Value, schema: Option<Schema<'_>>) -> String {
    let names = schema.map(|schema| schema.list_keys()).unwrap_or_default();
    let keys: Map<String, Value> = names
        .iter()
        .map(|name| {
            let value = match &item[&**name] {
                Value::Null if &**name == "protocol" => "TCP".into(),
                value => value.clone(),
            };
            (name.to_string(), value)
        })
        .collect();
    format!("k:{}", Value::Object(keys))
}

pub(super) fn element(value: &Value) -> String {
    format!("v:{value}")
}

pub(super) fn field<'a>(schema: Option<Schema<'a>>, name: &str) -> Option<Schema<'a>> {
    schema.and_then(|schema| schema.field(name))
}

pub(super) fn items(schema: Option<Schema<'_>>) -> Option<Schema<'_>> {
    schema.and_then(|schema| schema.items())
}

/// The fields that a configuration has.
pub fn fields_of(value: &Value, schema: Option<Schema<'_>>) -> Fields {
    let mut fields = Fields::default();
    collect(value, schema, &mut fields);
    fields
}

fn collect(value: &Value, schema: Option<Schema<'_>>, fields: &mut Fields) {
    match (value, parts(value, schema)) {
        (Value::Object(map), Parts::Map) if !map.is_empty() => {
            for (name, value) in map {
                collect(value, field(schema, name), fields.enter(format!("f:{name}")));
            }
        }
        (Value::Array(list), Parts::Items) if !list.is_empty() => {
            for item in list {
                let place = fields.enter(key(item, schema));
                collect(item, items(schema), place);
                place.join();
            }
        }
        (Value::Array(list), Parts::Set) if !list.is_empty() => {
            list.iter().for_each(|value| fields.enter(element(value)).join());
        }
        _ => fields.join(),
    }
}

/// How two values differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Added, or of another value.
    pub changed: Fields,
    /// No longer there.
    pub removed: Fields,
}

/// Compares an old value with a new one.
pub fn compare(old: &Value, new: &Value, schema: Option<Schema<'_>>) -> Compared {
    let mut found = Compared::default();
    walk(old, new, schema, &mut found.changed, &mut found.removed);
    found
}

fn walk(old: &Value, new: &Value, schema: Option<Schema<'_>>, changed: &mut Fields, removed: &mut Fields) {
    if old == new {
        return;
    }
    match (old, new, parts(old, schema), parts(new, schema)) {
        (Value::Object(a), Value::Object(b), Parts::Map, Parts::Map) => {
            for name in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                let edge = format!("f:{name}");
                both(a.get(name), b.get(name), field(schema, name), &edge, changed, removed);
            }
        }
        (Value::Array(a), Value::Array(b), Parts::Items, Parts::Items) => {
            let edges: BTreeSet<String> = a.iter().chain(b).map(|item| key(item, schema)).collect();
            for edge in edges {
                let find = |list: &'_ [Value]| list.iter().find(|item| key(item, schema) == edge).cloned();
                let (one, other) = (find(a), find(b));
                both(one.as_ref(), other.as_ref(), items(schema), &edge, changed, removed);
                let place = if one.is_none() { &mut *changed } else { &mut *removed };
                if one.is_none() || other.is_none() {
                    place.enter(edge).join();
                }
            }
        }
        (Value::Array(a), Value::Array(b), Parts::Set, Parts::Set) => {
            a.iter().filter(|value| !b.contains(value)).for_each(|value| removed.enter(element(value)).join());
            b.iter().filter(|value| !a.contains(value)).for_each(|value| changed.enter(element(value)).join());
        }
        _ => {
            let gone = fields_of(old, schema).difference(&fields_of(new, schema));
            *removed = std::mem::take(removed).union(&gone);
            collect(new, schema, changed);
        }
    }
}

fn both(
    old: Option<&Value>,
    new: Option<&Value>,
    schema: Option<Schema<'_>>,
    edge: &str,
    changed: &mut Fields,
    removed: &mut Fields,
) {
    match (old, new) {
        (Some(old), Some(new)) if old != new => {
            walk(old, new, schema, changed.enter(edge.to_owned()), removed.enter(edge.to_owned()));
        }
        (Some(old), None) => collect(old, schema, removed.enter(edge.to_owned())),
        (None, Some(new)) => collect(new, schema, changed.enter(edge.to_owned())),
        _ => {}
    }
}
