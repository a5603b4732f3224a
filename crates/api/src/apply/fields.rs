//! Sets of fields, in the form of `metadata.managedFields[].fieldsV1` (KEP-555).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Marks a member that has others below it.
const ITSELF: &str = ".";

/// A set of places in an object: a tree whose edges are `f:FIELD`, `k:{KEYS}` of a list's item, and `v:VALUE` of a set's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Whether the place itself is a member.
    own: bool,
    below: BTreeMap<String, Fields>,
}

impl Fields {
    /// Reads `fieldsV1`. What is no set of fields is an empty one.
    pub fn read(value: &Value) -> Self {
        let mut found = Self::default();
        let Some(map) = value.as_object() else { return found };
        for (edge, below) in map.iter().filter(|(edge, _)| *edge != ITSELF) {
            let mut child = Self::read(below);
            let map = below.as_object();
            child.own = map.is_none_or(|map| map.is_empty() || map.contains_key(ITSELF));
            found.below.insert(edge.clone(), child);
        }
        found
    }

    /// As `fieldsV1`.
    pub fn write(&self) -> Value {
        let mut map = Map::new();
        for (edge, child) in &self.below {
            let mut below = child.write();
            if child.own && !child.below.is_empty() {
                below[ITSELF] = Value::Object(Map::new());
            }
            map.insert(edge.clone(), below);
        }
        Value::Object(map)
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        !self.own && self.below.values().all(Self::is_empty)
    }

    /// Whether the place itself is a member.
    pub(super) fn is_member(&self) -> bool {
        self.own
    }

    pub(super) fn child(&self, edge: &str) -> Option<&Self> {
        self.below.get(edge)
    }

    pub(super) fn children(&self) -> impl Iterator<Item = (&String, &Self)> {
        self.below.iter()
    }

    pub(super) fn enter(&mut self, edge: String) -> &mut Self {
        self.below.entry(edge).or_default()
    }

    pub(super) fn join(&mut self) {
        self.own = true;
    }

    /// Members of either.
    #[must_use]
    pub fn union(mut self, other: &Self) -> Self {
        self.own |= other.own;
        for (edge, theirs) in &other.below {
            let ours = self.below.remove(edge).unwrap_or_default();
            self.below.insert(edge.clone(), ours.union(theirs));
        }
        self
    }

    /// Members of both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let both = self.below.iter().filter_map(|(edge, ours)| {
            let below = ours.intersection(other.below.get(edge)?);
            (!below.is_empty()).then(|| (edge.clone(), below))
        });
        Self { own: self.own && other.own, below: both.collect() }
    }

    /// Members of this that are none of the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let left = self.below.iter().filter_map(|(edge, ours)| {
            let below = other.below.get(edge).map_or_else(|| ours.clone(), |theirs| ours.difference(theirs));
            (!below.is_empty()).then(|| (edge.clone(), below))
        });
        Self { own: self.own && !other.own, below: left.collect() }
    }

    /// Without a field of an object and everything below it.
    pub fn forget(&mut self, path: &[&str]) {
        match path {
            [] => {}
            [last] => drop(self.below.remove(&format!("f:{last}"))),
            [first, rest @ ..] => {
                let edge = format!("f:{first}");
                if let Some(child) = self.below.get_mut(&edge) {
                    child.forget(rest);
                    if child.is_empty() {
                        self.below.remove(&edge);
                    }
                }
            }
        }
    }

    /// Keeps one field of an object only.
    pub fn keep(&mut self, field: &str) {
        self.below.retain(|edge, _| edge.strip_prefix("f:") == Some(field));
    }

    /// The members, as paths: `.spec.containers[name="web"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.list(&mut String::new(), &mut found);
        found
    }

    fn list(&self, path: &mut String, found: &mut Vec<String>) {
        if self.own {
            found.push(path.clone());
        }
        for (edge, child) in &self.below {
            let length = path.len();
            path.push_str(&shown(edge));
            child.list(path, found);
            path.truncate(length);
        }
    }
}

fn shown(edge: &str) -> String {
    if let Some(field) = edge.strip_prefix("f:") {
        return format!(".{field}");
    }
    if let Some(value) = edge.strip_prefix("v:") {
        return format!("[={value}]");
    }
    let keys: Map<String, Value> =
        edge.strip_prefix("k:").and_then(|keys| serde_json::from_str(keys).ok()).unwrap_or_default();
    let keys: Vec<String> = keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("[{}]", keys.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_written_form_is_read_back() {
        let text = json!({"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:containers":
            {"k:{\"name\":\"web\"}": {".": {}, "f:image": {}, "f:name": {}}}, "f:list": {"v:\"a\"": {}}}});
        let fields = Fields::read(&text);
        assert_eq!(fields.write(), text);
        assert_eq!(
            fields.paths(),
            [
                ".metadata.labels",
                ".metadata.labels.app",
                ".spec.containers[name=\"web\"]",
                ".spec.containers[name=\"web\"].image",
                ".spec.containers[name=\"web\"].name",
                ".spec.list[=\"a\"]",
            ]
        );
    }

    #[test]
    fn sets_behave_as_sets() {
        let a = Fields::read(&json!({"f:a": {}, "f:b": {".": {}, "f:c": {}}}));
        let b = Fields::read(&json!({"f:b": {"f:c": {}, "f:d": {}}}));
        assert_eq!(a.intersection(&b).paths(), [".b.c"]);
        assert_eq!(a.difference(&b).paths(), [".a", ".b"]);
        assert_eq!(a.clone().union(&b).paths(), [".a", ".b", ".b.c", ".b.d"]);
        assert!(a.difference(&a).is_empty() && !a.is_empty());
    }
}
