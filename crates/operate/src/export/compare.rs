//! What differs between an export and a cluster, field by field, and who changed it. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::files::Key;

/// A step of a path.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    Field(String),
    /// An item of a list, by the value of one of its fields; the item itself finds its manager.
    Item(&'static str, Value, Value),
    Index(usize),
}

/// Where in an object something is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Path(Vec<Step>);

impl Path {
    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    fn top(&self) -> &str {
        match self.0.first() {
            Some(Step::Field(name)) => name,
            _ => "",
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.0.iter().enumerate() {
            match step {
                // A terminal must not take a name for a command.
                Step::Field(name) if name.contains(char::is_control) => write!(f, "[{}]", name.escape_debug())?,
                Step::Field(name) if name.contains(['.', '/', '[']) => write!(f, "[{name}]")?,
                Step::Field(name) if number == 0 => write!(f, "{name}")?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Item(key, Value::String(value), _) => write!(f, "[{key}={value}]")?,
                Step::Item(key, value, _) => write!(f, "[{key}={value}]")?,
                Step::Index(number) => write!(f, "[{number}]")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Path {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One field that differs. A secret's values are not in it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Where.
    pub path: Path,
    /// What the file has; absent if nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<Value>,
    /// What the cluster has; absent if nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Value>,
    /// Who wrote it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Manager>,
}

/// Who manages a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Manager {
    /// Such as `kubectl-edit`.
    pub name: String,
    /// When it wrote last.
    pub time: String,
}

/// An object that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Changed {
    /// Which.
    #[serde(flatten)]
    pub key: Key,
    /// How.
    pub differences: Vec<Difference>,
}

/// A cluster compared with an export.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// In the cluster, not in the files.
    pub added: Vec<Key>,
    /// In the files, not in the cluster.
    pub missing: Vec<Key>,
    /// In both, and different.
    pub changed: Vec<Changed>,
}

impl Comparison {
    /// Whether both are the same.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.missing.is_empty() && self.changed.is_empty()
    }
}

/// An object of the cluster.
pub struct Live {
    /// Clean.
    pub value: Value,
    /// The same without what the server would set by itself, where that is known and less.
    pub short: Option<Value>,
    /// Its `managedFields`.
    pub managed: Value,
}

/// Compares files with a cluster.
pub fn compare(files: &BTreeMap<Key, &Value>, cluster: &BTreeMap<Key, Live>) -> Comparison {
    let mut comparison = Comparison {
        added: cluster.keys().filter(|key| !files.contains_key(key)).cloned().collect(),
        ..Comparison::default()
    };
    for (key, file) in files {
        let Some(live) = cluster.get(key) else {
            comparison.missing.push(key.clone());
            continue;
        };
        if live.short.as_ref() == Some(file) {
            continue;
        }
        let mut differences = differences(key, file, &live.value, &live.managed);
        // The server is not asked about secrets' values: what it would set by itself is known from before.
        if let Some(short) = live.short.as_ref().filter(|_| key.is_secret()) {
            let shorter = self::differences(key, file, short, &live.managed);
            if shorter.len() < differences.len() {
                differences = shorter;
            }
        }
        if !differences.is_empty() {
            comparison.changed.push(Changed { key: key.clone(), differences });
        }
    }
    comparison
}

/// How an object in a file differs from that in the cluster.
pub fn differences(key: &Key, file: &Value, live: &Value, managed: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(&Path::default(), Some(file), Some(live), &mut found);
    for difference in &mut found {
        difference.by = manager(managed, &difference.path);
        if key.is_secret() && matches!(difference.path.top(), "data" | "stringData") {
            let hide = |value: &mut Option<Value>| {
                if value.is_some() {
                    *value = Some("(secret)".into());
                }
            };
            hide(&mut difference.file);
            hide(&mut difference.cluster);
        }
    }
    found
}

fn walk(path: &Path, file: Option<&Value>, live: Option<&Value>, found: &mut Vec<Difference>) {
    match (file, live) {
        (Some(a), Some(b)) if a == b => {}
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            for (name, value) in a {
                walk(&path.with(Step::Field(name.clone())), Some(value), b.get(name), found);
            }
            for (name, value) in b.iter().filter(|(name, _)| !a.contains_key(*name)) {
                walk(&path.with(Step::Field(name.clone())), None, Some(value), found);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            let before = found.len();
            items(path, a, b, found);
            if found.len() == before {
                // The same items in another order.
                found.push(difference(path, file, live));
            }
        }
        _ => found.push(difference(path, file, live)),
    }
}

fn difference(path: &Path, file: Option<&Value>, live: Option<&Value>) -> Difference {
    Difference { path: path.clone(), file: file.cloned(), cluster: live.cloned(), by: None }
}

/// Fields by which items of Kubernetes' lists are told apart.
const KEYS: &[&str] = &["name", "containerPort", "port", "mountPath", "key", "ip", "topologyKey", "type"];

fn items(path: &Path, file: &[Value], live: &[Value], found: &mut Vec<Difference>) {
    let tells = |key: &str| {
        [file, live].iter().all(|list| {
            let values: Vec<&Value> = list.iter().map(|item| &item[key]).collect();
            let distinct = values.iter().enumerate().all(|(at, value)| !values[..at].contains(value));
            distinct && values.iter().all(|value| value.is_string() || value.is_number())
        })
    };
    let Some(key) = KEYS.iter().copied().find(|key| tells(key)) else {
        for number in 0..file.len().max(live.len()) {
            walk(&path.with(Step::Index(number)), file.get(number), live.get(number), found);
        }
        return;
    };
    let other = |list: &'_ [Value], item: &Value| list.iter().find(|other| other[key] == item[key]).cloned();
    for item in file {
        let there = other(live, item);
        let known = there.clone().unwrap_or_else(|| item.clone());
        walk(&path.with(Step::Item(key, item[key].clone(), known)), Some(item), there.as_ref(), found);
    }
    for item in live.iter().filter(|item| other(file, item).is_none()) {
        walk(&path.with(Step::Item(key, item[key].clone(), item.clone())), None, Some(item), found);
    }
}

/// Who wrote a field last, by the server's own record. `None` if nobody owns it, for instance because it is gone.
fn manager(managed: &Value, path: &Path) -> Option<Manager> {
    let entries = managed.as_array()?.iter().filter(|entry| entry["subresource"] != "status");
    let owners = entries.filter(|entry| owns(&entry["fieldsV1"], &path.0));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let latest = owners.max_by_key(|entry| text(&entry["time"]))?;
    Some(Manager { name: text(&latest["manager"]), time: text(&latest["time"]) })
}

fn owns(fields: &Value, path: &[Step]) -> bool {
    let Some((step, rest)) = path.split_first() else { return !fields.is_null() };
    let Some(known) = fields.as_object() else { return false };
    // What is owned without its parts is owned as a whole.
    if known.is_empty() {
        return true;
    }
    let next = match step {
        Step::Field(name) => known.get(&format!("f:{name}")),
        Step::Index(number) => known.get(&format!("i:{number}")),
        Step::Item(_, _, item) => known.iter().find(|(key, _)| is_item(key, item)).map(|(_, fields)| fields),
    };
    next.is_some_and(|next| owns(next, rest))
}

fn is_item(key: &str, item: &Value) -> bool {
    let Some(Ok(Value::Object(keys))) = key.strip_prefix("k:").map(serde_json::from_str::<Value>) else { return false };
    keys.iter().all(|(name, value)| item.get(name).is_none_or(|own| own == value))
}

/// The merge patch that makes `to` of `from`.
pub fn merge_patch(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return to.clone() };
    let mut patch = Map::new();
    for (name, value) in to {
        match from.get(name) {
            Some(old) if old == value => {}
            Some(old) if old.is_object() && value.is_object() => {
                patch.insert(name.clone(), merge_patch(old, value));
            }
            _ => drop(patch.insert(name.clone(), value.clone())),
        }
    }
    for name in from.keys().filter(|name| !to.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    Value::Object(patch)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(file: Value, live: Value) -> Vec<String> {
        let key = Key::of(&json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}}));
        let text = |value: Option<Value>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        let found = differences(&key, &file, &live, &Value::Null);
        found.into_iter().map(|one| format!("{}: {} {}", one.path, text(one.file), text(one.cluster))).collect()
    }

    #[test]
    fn fields_are_compared_one_by_one() {
        let cases = [
            (json!({"a": 1}), json!({"a": 1}), vec![]),
            (json!({"a": {"b": 1}}), json!({"a": {"b": 2, "c": 3}}), vec!["a.b: 1 2", "a.c: - 3"]),
            (json!({"a": 1}), json!({}), vec!["a: 1 -"]),
            (json!({"m": {"x.y/z": 1}}), json!({"m": {}}), vec!["m[x.y/z]: 1 -"]),
            (
                json!({"c": [{"name": "a", "v": 1}, {"name": "b"}]}),
                json!({"c": [{"name": "c"}, {"name": "a", "v": 2}]}),
                vec!["c[name=a].v: 1 2", "c[name=b]: {\"name\":\"b\"} -", "c[name=c]: - {\"name\":\"c\"}"],
            ),
            (json!({"p": [{"port": 80}]}), json!({"p": [{"port": 80, "x": 1}]}), vec!["p[port=80].x: - 1"]),
            (json!({"l": [1, 2]}), json!({"l": [1, 3]}), vec!["l[1]: 2 3"]),
            (
                json!({"l": [{"name": "a"}, {"name": "b"}]}),
                json!({"l": [{"name": "b"}, {"name": "a"}]}),
                vec!["l: [{\"name\":\"a\"},{\"name\":\"b\"}] [{\"name\":\"b\"},{\"name\":\"a\"}]"],
            ),
        ];
        for (file, live, expected) in cases {
            assert_eq!(shown(file.clone(), live.clone()), expected, "{file} {live}");
        }
    }

    #[test]
    fn a_merge_patch_makes_one_of_the_other() {
        let (from, to) = (json!({"a": 1, "b": {"c": 1, "d": 2}, "l": [1]}), json!({"b": {"c": 1, "e": 3}, "l": [2]}));
        assert_eq!(merge_patch(&from, &to), json!({"a": null, "b": {"d": null, "e": 3}, "l": [2]}));
        assert_eq!(merge_patch(&from, &from), json!({}));
    }

    #[test]
    fn who_wrote_a_field_last_is_told() {
        let managed = json!([
            {"manager": "kubectl", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:replicas": {},
                "f:template": {"f:containers": {"k:{\"name\":\"web\"}": {".": {}, "f:image": {}}}}}}},
            {"manager": "scaler", "time": "2026-01-02T00:00:00Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "node", "time": "2026-01-03T00:00:00Z", "subresource": "status",
                "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        ]);
        let key = Key::of(&json!({"kind": "Deployment"}));
        let object = |replicas: i32, image: &str| {
            let template = json!({"containers": [{"name": "web", "image": image}]});
            json!({"spec": {"replicas": replicas, "template": template}})
        };
        let found = differences(&key, &object(1, "a"), &object(2, "b"), &managed);
        let by: Vec<_> = found.iter().map(|one| one.by.as_ref().map(|by| by.name.as_str())).collect();
        assert_eq!(by, [Some("scaler"), Some("kubectl")]);
        let other = differences(&key, &json!({"spec": {"x": 1}}), &json!({"spec": {}}), &managed);
        assert_eq!(other[0].by, None);
    }

    #[test]
    fn what_the_server_sets_in_a_secret_is_no_difference() {
        let file = json!({"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "a", "annotations": {"x": "1"}}});
        let key = Key::of(&file);
        let mut short = file.clone();
        short["metadata"]["annotations"]["x"] = "2".into();
        let mut value = short.clone();
        value["type"] = "Opaque".into();
        let cluster = BTreeMap::from([(key.clone(), Live { value, short: Some(short), managed: Value::Null })]);
        let comparison = compare(&BTreeMap::from([(key, &file)]), &cluster);
        let paths: Vec<String> = comparison.changed[0].differences.iter().map(|one| one.path.to_string()).collect();
        assert_eq!(paths, ["metadata.annotations.x"]);
    }

    #[test]
    fn values_of_secrets_are_not_told() {
        let key = Key::of(&json!({"kind": "Secret", "apiVersion": "v1"}));
        let found = differences(&key, &json!({"data": {"a": "b25l"}}), &json!({"data": {"a": "dHdv"}}), &Value::Null);
        let text = serde_json::to_string(&found).unwrap();
        assert!(!text.contains("b25l") && !text.contains("dHdv") && text.contains("data.a"), "{text}");
    }
}
