//! Places in objects, and which of them may hold a server's choice. Pure.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

/// Fields that are never the server's choice.
const GIVEN: &[&str] =
    &["apiVersion", "kind", "metadata", "status", "data", "stringData", "binaryData", "labels", "annotations"];
/// Fields by which items of a list are what they are; a list whose items have none is one choice.
const KEYS: &[&str] = &["name", "containerPort", "port", "mountPath"];
/// Fields with text on which no default depends.
const FREE: &[&str] =
    &["name", "namespace", "value", "command", "args", "host", "path", "message", "description", "schedule"];
/// Maps with such text.
const FREE_MAPS: &[&str] = &["labels", "annotations", "matchLabels", "selector"];
/// Values that only one object of a cluster can have.
const ONCE: &[&str] = &["clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort", "volumeName", "claimRef"];

/// A step of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Field(String),
    /// Every item of a list.
    Items,
}

/// Places in an object that have the same path but for the numbers of items.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::export) struct Pattern(pub(super) Vec<Step>);

impl Pattern {
    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    fn field(&self, name: &str) -> Self {
        self.with(Step::Field(name.to_owned()))
    }

    /// Whether one lies in the other.
    pub(super) fn touches(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a == b)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                Step::Items => f.write_str("[]")?,
                Step::Field(name) if number == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
            }
        }
        Ok(())
    }
}

/// Takes out of what is left out all that has to do with the places.
pub(super) fn put_back(out: &mut BTreeSet<Pattern>, places: &[Pattern]) {
    let before = out.clone();
    for place in places {
        let mut place = place.clone();
        // What the server adds where nothing was depends on something beside it.
        while !place.0.is_empty() && !before.iter().any(|pattern| pattern.touches(&place)) {
            place.0.pop();
        }
        if !place.0.is_empty() {
            out.retain(|pattern| !pattern.touches(&place));
        }
    }
}

/// A path as the server writes it: `spec.template.spec.containers[0].image`.
pub(super) fn pattern(path: &str) -> Pattern {
    let mut found = Pattern::default();
    for part in path.split('.') {
        let (name, items) = part.split_once('[').map_or((part, false), |(name, _)| (name, true));
        found = found.field(name);
        if items {
            found = found.with(Step::Items);
        }
    }
    found
}

/// Everything that may be the server's choice.
pub(super) fn candidates(value: &Value, at: &Pattern, found: &mut BTreeSet<Pattern>) {
    let Some(fields) = value.as_object() else { return };
    let is_item = at.0.last() == Some(&Step::Items);
    for (name, value) in fields {
        if GIVEN.contains(&name.as_str()) && (at.0.is_empty() || name != "metadata") {
            continue;
        }
        // An assigned value that is here was chosen.
        if ONCE.contains(&name.as_str()) || is_item && KEYS.contains(&name.as_str()) {
            continue;
        }
        let place = at.field(name);
        match value {
            Value::Object(fields) if !fields.is_empty() => candidates(value, &place, found),
            Value::Array(items) if items.iter().all(is_told_apart) && !items.is_empty() => {
                let each = place.with(Step::Items);
                items.iter().for_each(|item| candidates(item, &each, found));
            }
            _ => drop(found.insert(place)),
        }
    }
}

fn is_told_apart(item: &Value) -> bool {
    KEYS.iter().any(|key| item.get(key).is_some())
}

/// Removes what a pattern names, and what is empty then; whether there was any.
pub(super) fn remove(value: &mut Value, steps: &[Step]) -> bool {
    match (steps, value) {
        ([Step::Field(name)], Value::Object(fields)) => fields.remove(name).is_some(),
        ([Step::Field(name), rest @ ..], Value::Object(fields)) => {
            let Some(inner) = fields.get_mut(name) else { return false };
            let removed = remove(inner, rest);
            if removed && inner.as_object().is_some_and(serde_json::Map::is_empty) {
                fields.remove(name);
            }
            removed
        }
        ([Step::Items, rest @ ..], Value::Array(items)) => {
            items.iter_mut().filter_map(|item| remove(item, rest).then_some(())).count() > 0
        }
        _ => false,
    }
}

/// Where an object and what was made of it differ.
#[derive(Default)]
pub(super) struct Differing {
    /// What was not made.
    pub(super) missing: Vec<Pattern>,
    /// What was made otherwise, or too much.
    pub(super) other: Vec<Pattern>,
}

impl Differing {
    pub(super) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.other.is_empty()
    }

    pub(super) fn compare(&mut self, whole: &Value, made: &Value, at: &Pattern) {
        match (whole, made) {
            (Value::Object(a), Value::Object(b)) => {
                for (name, value) in a {
                    match b.get(name) {
                        Some(other) => self.compare(value, other, &at.field(name)),
                        None => self.missing.push(at.field(name)),
                    }
                }
                self.other.extend(b.keys().filter(|name| !a.contains_key(*name)).map(|name| at.field(name)));
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                let each = at.with(Step::Items);
                a.iter().zip(b).for_each(|(a, b)| self.compare(a, b, &each));
            }
            (a, b) if a == b => {}
            _ => self.other.push(at.clone()),
        }
    }
}

/// Removes what only one object of a cluster can have, but not a headless service's address.
pub(super) fn forget_numbers(object: &mut Value) {
    ONCE.iter().for_each(|name| forget(object, name));
}

fn forget(value: &mut Value, name: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| forget(item, name)),
        Value::Object(fields) => {
            let headless = |value: &Value| *value == "None" || value[0] == "None";
            if fields.get(name).is_some_and(|value| !headless(value)) {
                fields.remove(name);
            }
            fields.values_mut().for_each(|value| forget(value, name));
        }
        _ => {}
    }
}

/// An object without what no default depends on.
pub(super) fn shape(object: &Value) -> Value {
    let mut shape = object.clone();
    if let Some(fields) = shape.as_object_mut() {
        fields.remove("metadata");
    }
    blank(&mut shape);
    shape
}

fn blank(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(blank),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    _ if FREE.contains(&name.as_str()) && !value.is_object() => *value = Value::Null,
                    _ if FREE_MAPS.contains(&name.as_str()) && value.is_object() => {
                        let empty = value.as_object().is_some_and(serde_json::Map::is_empty);
                        *value = empty.into();
                    }
                    // The pull policy depends on it.
                    Value::String(image) if name == "image" => *value = latest(image).into(),
                    _ => blank(value),
                }
            }
        }
        _ => {}
    }
}

/// Whether an image is the latest of its name.
fn latest(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or(image);
    !image.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn all(object: &Value) -> BTreeSet<Pattern> {
        let mut found = BTreeSet::new();
        candidates(object, &Pattern::default(), &mut found);
        found
    }

    fn deployment() -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 1,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"securityContext": {}, "tolerations": [{"key": "a"}],
            "containers": [{"name": "web", "image": "web:1", "imagePullPolicy": "IfNotPresent",
                "env": [{"name": "A", "value": "1"}]}]}}}})
    }

    #[test]
    fn names_are_never_in_question() {
        let names: Vec<String> = all(&deployment()).iter().map(ToString::to_string).collect();
        assert_eq!(
            names,
            [
                "spec.replicas",
                "spec.strategy.rollingUpdate.maxSurge",
                "spec.strategy.type",
                "spec.template.spec.containers[].env[].value",
                "spec.template.spec.containers[].image",
                "spec.template.spec.containers[].imagePullPolicy",
                "spec.template.spec.securityContext",
                "spec.template.spec.tolerations",
            ]
        );
        assert!(
            all(&json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "b"}}))
                .is_empty()
        );
    }

    #[test]
    fn what_the_server_misses_or_makes_otherwise_is_put_back() {
        let mut out = all(&deployment());
        put_back(&mut out, &[pattern("spec.template.spec.containers[0].image"), pattern("spec.replicas")]);
        assert_eq!(out.len(), 6);
        // A field that came beside the type, which is put back already.
        put_back(&mut out, &[pattern("spec.strategy.type"), pattern("spec.strategy.recreate")]);
        assert_eq!(out.len(), 4);
        put_back(&mut out, &[pattern("metadata.name")]);
        assert_eq!(out.len(), 4);
        let mut left = deployment();
        for pattern in &all(&deployment()) {
            assert!(remove(&mut left, &pattern.0), "{pattern}");
        }
        assert_eq!(
            left["spec"],
            json!({"template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "web", "env": [{"name": "A"}]}]}}})
        );
    }

    #[test]
    fn alike_is_what_defaults_can_not_tell_apart() {
        let mut other = deployment();
        other["metadata"]["name"] = "other".into();
        other["spec"]["template"]["spec"]["containers"][0]["image"] = "registry:5000/other:2".into();
        other["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = "2".into();
        assert_eq!(shape(&deployment()), shape(&other));
        other["spec"]["template"]["spec"]["containers"][0]["image"] = "registry:5000/other".into();
        assert_ne!(shape(&deployment()), shape(&other));
        let mut other = deployment();
        other["spec"]["replicas"] = 2.into();
        assert_ne!(shape(&deployment()), shape(&other));
    }

    #[test]
    fn the_image_tells_whether_it_is_the_latest() {
        for (image, expected) in
            [("a", true), ("a:latest", true), ("r:5000/a", true), ("r:5000/a:1", false), ("a@sha256:0", false)]
        {
            assert_eq!(latest(image), expected, "{image}");
        }
    }
}
