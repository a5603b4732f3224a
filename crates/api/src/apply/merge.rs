//! What an object is after a configuration was applied to it.

use serde_json::{Map, Value};

use super::Fields;
use super::walk::{Parts, element, field, items, key, parts};
use crate::schema::Schema;

/// Merges a configuration into an object: what the configuration has wins, the rest stays.
pub fn merge(live: &Value, config: &Value, schema: Option<Schema<'_>>) -> Value {
    match (live, config, parts(live, schema), parts(config, schema)) {
        (Value::Object(ours), Value::Object(theirs), Parts::Map, Parts::Map) => {
            let mut merged = ours.clone();
            for (name, value) in theirs {
                let below = field(schema, name);
                let value = ours.get(name).map_or_else(|| value.clone(), |our| merge(our, value, below));
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Value::Array(ours), Value::Array(theirs), Parts::Items, Parts::Items) => {
            let edge = |item: &Value| key(item, schema);
            Value::Array(in_order(ours, theirs, &edge, &|our, their| merge(our, their, items(schema))))
        }
        (Value::Array(ours), Value::Array(theirs), Parts::Set, Parts::Set) => {
            Value::Array(in_order(ours, theirs, &element, &|_, their| their.clone()))
        }
        _ => config.clone(),
    }
}

/// Both lists in one: in the configuration's order, and what only the object has where it was.
fn in_order(
    ours: &[Value],
    theirs: &[Value],
    edge: &dyn Fn(&Value) -> String,
    merged: &dyn Fn(&Value, &Value) -> Value,
) -> Vec<Value> {
    let (our_edges, their_edges): (Vec<String>, Vec<String>) =
        (ours.iter().map(edge).collect(), theirs.iter().map(edge).collect());
    let mut result = Vec::with_capacity(ours.len() + theirs.len());
    let mut next = 0;
    for (their, their_edge) in theirs.iter().zip(&their_edges) {
        let Some(at) = our_edges.iter().position(|edge| edge == their_edge) else {
            result.push(their.clone());
            continue;
        };
        while next < at {
            if !their_edges.contains(&our_edges[next]) {
                result.push(ours[next].clone());
            }
            next += 1;
        }
        next = next.max(at + 1);
        result.push(merged(&ours[at], their));
    }
    let rest = ours.iter().zip(&our_edges).skip(next).filter(|(_, edge)| !their_edges.contains(edge));
    result.extend(rest.map(|(our, _)| our.clone()));
    result
}

/// Removes members of `doomed` from an object, but nothing in which there is a member of `kept`.
pub fn remove(value: &mut Value, doomed: &Fields, kept: &Fields, schema: Option<Schema<'_>>) {
    let nothing = Fields::default();
    let below = |edge: &str| kept.child(edge).unwrap_or(&nothing);
    match parts(value, schema) {
        Parts::Map => {
            let Some(map) = value.as_object_mut() else { return };
            for (edge, child) in doomed.children() {
                if let Some(name) = edge.strip_prefix("f:") {
                    remove_field(map, name, child, below(edge), field(schema, name));
                }
            }
        }
        Parts::Items => {
            let Some(list) = value.as_array_mut() else { return };
            list.retain_mut(|item| {
                let edge = key(item, schema);
                let Some(child) = doomed.child(&edge) else { return true };
                if child.is_member() && below(&edge).is_empty() {
                    return false;
                }
                remove(item, child, below(&edge), items(schema));
                true
            });
        }
        Parts::Set => {
            let Some(list) = value.as_array_mut() else { return };
            list.retain(|value| {
                let edge = element(value);
                !doomed.child(&edge).is_some_and(Fields::is_member) || below(&edge).is_member()
            });
        }
        Parts::Whole => {}
    }
}

fn remove_field(map: &mut Map<String, Value>, name: &str, doomed: &Fields, kept: &Fields, schema: Option<Schema<'_>>) {
    let Some(value) = map.get_mut(name) else { return };
    if doomed.is_member() && kept.is_empty() {
        map.remove(name);
        return;
    }
    let had = !is_empty(value);
    remove(value, doomed, kept, schema);
    // What held only removed fields has nothing to say.
    if had && is_empty(value) && kept.is_empty() {
        map.remove(name);
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::apply::{compare, fields_of};

    /// Without a schema: objects are maps, lists are atomic.
    #[test]
    fn what_is_applied_wins_and_the_rest_stays() {
        let live = json!({"a": {"b": 1, "c": [1, 2]}, "d": 4});
        let config = json!({"a": {"c": [3]}, "e": 5});
        let merged = merge(&live, &config, None);
        assert_eq!(merged, json!({"a": {"b": 1, "c": [3]}, "d": 4, "e": 5}));
        assert_eq!(merge(&merged, &config, None), merged, "applying again changes nothing");
        assert_eq!(compare(&live, &merged, None).changed.paths(), [".a.c", ".e"]);
        assert!(compare(&live, &merged, None).removed.is_empty());
        let mut without = merged.clone();
        remove(&mut without, &fields_of(&config, None), &Fields::default(), None);
        assert_eq!(without, json!({"a": {"b": 1}, "d": 4}));
    }

    #[test]
    fn what_is_kept_stays_with_all_that_it_is_in() {
        let mut value = json!({"a": {"b": 1, "c": 2}, "d": {"e": 1}});
        let doomed = Fields::read(&json!({"f:a": {".": {}, "f:b": {}, "f:c": {}}, "f:d": {"f:e": {}}}));
        let kept = Fields::read(&json!({"f:a": {"f:c": {}}}));
        remove(&mut value, &doomed, &kept, None);
        assert_eq!(value, json!({"a": {"c": 2}}));
    }

    #[test]
    fn the_order_is_the_configurations() {
        let list = |text: &str| text.chars().map(|letter| json!(letter.to_string())).collect::<Vec<_>>();
        let order = |ours: &str, theirs: &str| {
            let merged = in_order(&list(ours), &list(theirs), &element, &|_, their| their.clone());
            merged.iter().filter_map(Value::as_str).collect::<String>()
        };
        assert_eq!(order("abc", "cb"), "acb");
        assert_eq!(order("abc", "x"), "xabc");
        assert_eq!(order("abc", "ab"), "abc");
        assert_eq!(order("", "ab"), "ab");
    }
}
