//! Lists in strategic merge patch: merging by key, and the order of the result.
//!
//! Order, by precedence: the `$setElementOrder` list, the patch, the live list. Elements that only the live list has
//! are woven in before the first element that comes after them there.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::PatchError;
use super::go_value::go_value;
use super::strategic::{DIRECTIVE, Object, merge_object, unknown_directive, without_directives, wrong_type};
use crate::schema::Schema;

/// Merges `patch` into `original`; the field has the merge strategy.
pub(super) fn merge_list(
    original: Vec<Value>,
    patch: Vec<Value>,
    field: Option<Schema<'_>>,
) -> Result<Vec<Value>, PatchError> {
    let Some(objects) = elements_are_objects(&original, &patch)? else { return Ok(original) };
    if !objects {
        let mut seen = HashSet::new();
        let both = original.iter().chain(&patch).filter(|value| seen.insert(*value)).cloned().collect();
        return weave(both, &patch, &original, Identity::Value);
    }
    let Some(key) = field.and_then(|field| field.merge_key()) else {
        return Err(PatchError::Failed("cannot merge lists without merge key for struct".into()));
    };
    let (original, patch) = obey_directives(original, patch, key)?;
    let (live, order) = (keys_only(&original, key)?, keys_only(&patch, key)?);
    let merged = merge_by_key(original, patch, key, field.and_then(|field| field.items()))?;
    weave(merged, &order, &live, Identity::Field(key))
}

/// Merges a list for which the patch gives an order. `None` when neither side has the list.
pub(super) fn merge_ordered_list(
    original: Option<Vec<Value>>,
    patch: Option<Vec<Value>>,
    order: &[Value],
    field: Option<Schema<'_>>,
) -> Result<Option<Vec<Value>>, PatchError> {
    let key = field.and_then(|field| field.merge_key());
    let identity = key.map_or(Identity::Value, Identity::Field);
    check_order(patch.as_deref().unwrap_or_default(), order, identity)?;
    let live = original.clone().unwrap_or_default();
    let merged = match (original, patch) {
        (None, None) => return Ok(None),
        (Some(original), None) => original,
        (None, Some(patch)) => patch.into_iter().filter_map(without_directives).collect(),
        (Some(original), Some(patch)) if field.is_some_and(|field| field.patch_strategy().merge) => {
            merge_list(original, patch, field)?
        }
        (Some(_), Some(patch)) => patch,
    };
    weave(merged, order, &live, identity).map(Some)
}

/// What tells elements apart.
#[derive(Clone, Copy)]
enum Identity<'k> {
    /// The element itself.
    Value,
    /// The value of this field.
    Field(&'k str),
}

impl Identity<'_> {
    fn of(self, element: &Value) -> Result<&Value, PatchError> {
        match (self, element) {
            (Self::Value, _) => Ok(element),
            (Self::Field(key), Value::Object(fields)) => fields.get(key).ok_or_else(|| no_merge_key(element, key)),
            (Self::Field(_), _) => Err(wrong_type("map[string]interface {}", element)),
        }
    }
}

fn no_merge_key(element: &Value, key: &str) -> PatchError {
    PatchError::Failed(format!("map: {} does not contain declared merge key: {key}", go_value(element)))
}

/// Whether the elements are objects; `None` when there are none.
fn elements_are_objects(original: &[Value], patch: &[Value]) -> Result<Option<bool>, PatchError> {
    let mut all = original.iter().chain(patch);
    let Some(first) = all.next() else { return Ok(None) };
    if first.is_array() {
        return Err(PatchError::NotApplicable("lists of lists are not supported".into()));
    }
    if all.any(|other| std::mem::discriminant(other) != std::mem::discriminant(first)) {
        let lists = [go_value(&Value::from(original)), go_value(&Value::from(patch))].join(" ");
        return Err(PatchError::Failed(format!("list element types are not identical: [{lists}]")));
    }
    Ok(Some(first.is_object()))
}

/// Carries out `$patch` elements and returns what remains on both sides.
fn obey_directives(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut plain = Vec::with_capacity(patch.len());
    let mut doomed = HashSet::new();
    let mut replace = false;
    for element in patch {
        let Value::Object(mut fields) = element else { continue };
        let Some(directive) = fields.remove(DIRECTIVE) else {
            plain.push(Value::Object(fields));
            continue;
        };
        match directive.as_str() {
            Some("replace") => replace = true,
            Some("merge") => {
                return Err(PatchError::Failed("merging lists cannot yet be specified in the patch".into()));
            }
            Some("delete") => match fields.remove(key) {
                Some(value) => {
                    doomed.insert(value);
                }
                None => {
                    fields.insert(DIRECTIVE.into(), directive);
                    return Err(no_merge_key(&Value::Object(fields), key));
                }
            },
            _ => return Err(unknown_directive(&directive, fields)),
        }
    }
    if replace {
        return Ok((plain, Vec::new()));
    }
    original.retain(|element| element.get(key).is_none_or(|value| !doomed.contains(value)));
    Ok((original, plain))
}

/// Merges elements of the same key; others are appended.
fn merge_by_key(
    mut original: Vec<Value>,
    patch: Vec<Value>,
    key: &str,
    element: Option<Schema<'_>>,
) -> Result<Vec<Value>, PatchError> {
    let mut places: HashMap<Value, usize> = HashMap::new();
    for (at, present) in original.iter().enumerate() {
        if let Some(value) = present.get(key) {
            places.entry(value.clone()).or_insert(at);
        }
    }
    for theirs in patch {
        let Value::Object(theirs) = theirs else { continue };
        let Some(value) = theirs.get(key) else { return Err(no_merge_key(&Value::Object(theirs), key)) };
        if let Some(Value::Object(ours)) = places.get(value).and_then(|at| original.get_mut(*at)) {
            *ours = merge_object(std::mem::take(ours), theirs, element)?;
        } else {
            places.insert(value.clone(), original.len());
            original.extend(without_directives(Value::Object(theirs)));
        }
    }
    Ok(original)
}

/// Elements reduced to their keys: all that ordering needs.
fn keys_only(list: &[Value], key: &str) -> Result<Vec<Value>, PatchError> {
    let reduce = |element: &Value| {
        let value = Identity::Field(key).of(element)?;
        Ok(Value::Object(Object::from_iter([(key.to_owned(), value.clone())])))
    };
    list.iter().map(reduce).collect()
}

/// The patch may only have elements that the order names, in that order; deletions aside.
fn check_order(patch: &[Value], order: &[Value], identity: Identity<'_>) -> Result<(), PatchError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut expected = order.iter();
    for element in patch.iter().filter(|element| element.get(DIRECTIVE).is_none()) {
        let wanted = identity.of(element)?;
        loop {
            let Some(next) = expected.next() else {
                let (patch, order) = (go_value(&Value::from(patch)), go_value(&Value::from(order)));
                let reason =
                    format!("The order in patch list:\n{patch}\n doesn't match $setElementOrder list:\n{order}\n");
                return Err(PatchError::Failed(reason));
            };
            if identity.of(next)? == wanted {
                break;
            }
        }
    }
    Ok(())
}

/// Puts `merged` in order: elements that `order` names in its order, the others in that of the live list, each as
/// early as the live list had it before one of the former.
fn weave(
    merged: Vec<Value>,
    order: &[Value],
    live: &[Value],
    identity: Identity<'_>,
) -> Result<Vec<Value>, PatchError> {
    let order = positions(order, identity)?;
    let live = positions(live, identity)?;
    let mut named = Vec::new();
    let mut others = Vec::new();
    for element in merged {
        let id = identity.of(&element)?;
        let live_at = live.get(id).copied();
        match order.get(id) {
            Some(order_at) => named.push((*order_at, live_at, element)),
            None => others.push((live_at.unwrap_or(usize::MAX), live_at, element)),
        }
    }
    named.sort_by_key(|(at, ..)| *at);
    others.sort_by_key(|(at, ..)| *at);

    let mut woven = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for (_, named_at, element) in named {
        while let Some((.., other)) = others
            .next_if(|(_, other_at, _)| matches!((other_at, named_at), (Some(other), Some(named)) if *other < named))
        {
            woven.push(other);
        }
        woven.push(element);
    }
    woven.extend(others.map(|(.., element)| element));
    Ok(woven)
}

/// Where each identity first stands.
fn positions<'v>(list: &'v [Value], identity: Identity<'_>) -> Result<HashMap<&'v Value, usize>, PatchError> {
    let mut places = HashMap::with_capacity(list.len());
    for (at, element) in list.iter().enumerate() {
        places.entry(identity.of(element)?).or_insert(at);
    }
    Ok(places)
}
