//! Runs the cases of `cases/plan.md`: what controllers decide about what is given.
//!
//! A case is a heading `## …`, a block `yaml given` with the objects of the view, and blocks `text plan NAME KEY`
//! with the changes that the controller NAME asks for about the object KEY (`namespace/name`, or a name alone for
//! kinds without namespaces). It is 2026-01-01T01:00:00Z unless a block `text now` says otherwise. Objects get what
//! they lack to be stored objects: namespace `default`, uid `KIND/NAME`, revision, time of creation, defaults.
//! ReplicaSets have the pods that their status tells of, unless the case gives pods.
//!
//! Each plan is followed by plans from views that show the status updates, which must come to an end: a status that
//! never settles would be written for ever.
//!
//! With `BLESS` in the environment the `text plan` blocks are rewritten to what came out, to be read before a commit.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use api::{Catalogue, Change, EventType, Key, Object, Plan, Propagation, Subresource, View};
use serde::Deserialize;
use serde_json::{Value, json};

struct Case {
    name: String,
    blocks: Vec<(String, String)>,
}

fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        match &mut open {
            Some(_) if line == "```" => cases.last_mut().unwrap().blocks.push(open.take().unwrap()),
            Some((_, block)) => {
                block.push_str(line);
                block.push('\n');
            }
            None => {
                if let Some(name) = line.strip_prefix("## ") {
                    cases.push(Case { name: name.to_owned(), blocks: Vec::new() });
                } else if let Some(info) = line.strip_prefix("```") {
                    open = Some((info.to_owned(), String::new()));
                }
            }
        }
    }
    cases
}

/// What a stored object has and the case did not care to say.
fn complete(catalogue: &Catalogue, value: &mut Value) {
    let group = value["apiVersion"].as_str().unwrap().rsplit_once('/').map_or("", |(group, _)| group).to_owned();
    let kind = catalogue.by_kind(&group, value["kind"].as_str().unwrap()).unwrap();
    let name = value["metadata"]["name"].as_str().unwrap().to_owned();
    let meta = value["metadata"].as_object_mut().unwrap();
    if kind.namespaced {
        meta.entry("namespace").or_insert_with(|| json!("default"));
    }
    meta.entry("uid").or_insert_with(|| json!(format!("{}/{name}", kind.kind)));
    meta.entry("creationTimestamp").or_insert_with(|| json!("2026-01-01T00:00:00Z"));
    if kind.generation {
        meta.entry("generation").or_insert_with(|| json!(1));
    }
    for owner in meta.get_mut("ownerReferences").and_then(Value::as_array_mut).into_iter().flatten() {
        let uid = format!("{}/{}", owner["kind"].as_str().unwrap(), owner["name"].as_str().unwrap());
        let owner = owner.as_object_mut().unwrap();
        owner.entry("uid").or_insert_with(|| json!(uid));
        owner.entry("controller").or_insert_with(|| json!(true));
        owner.entry("blockOwnerDeletion").or_insert_with(|| json!(true));
    }
    kind.fill_defaults(value);
}

fn put(view: &mut View, value: Value) {
    let catalogue = view.catalogue().clone();
    let group = value["apiVersion"].as_str().unwrap().rsplit_once('/').map_or("", |(group, _)| group);
    let kind = catalogue.by_kind(group, value["kind"].as_str().unwrap()).unwrap();
    let revision = view.revision() + 1;
    view.insert(Arc::new(Object::seal(kind, value, revision)));
    view.advance(revision);
}

fn view_of(catalogue: &Arc<Catalogue>, case: &Case) -> View {
    let block = |wanted: &str| case.blocks.iter().find(|(info, _)| info == wanted).map(|(_, text)| text.as_str());
    let now = block("text now").unwrap_or("2026-01-01T01:00:00Z").trim().parse().unwrap();
    let mut view = View::empty(Arc::clone(catalogue)).at(now);
    let given = block("yaml given").unwrap_or_else(|| panic!("{}: nothing is given", case.name));
    let parsed = |document: &str| -> Value {
        serde_saphyr::from_str(document).unwrap_or_else(|why| panic!("{}: {why}\n{document}", case.name))
    };
    let mut objects: Vec<Value> = given.split("\n---\n").map(parsed).collect();
    objects.iter_mut().for_each(|object| complete(catalogue, object));
    if !objects.iter().any(|object| object["kind"] == "Pod") {
        let pods: Vec<Value> = objects.iter().filter(|one| one["kind"] == "ReplicaSet").flat_map(pods_of).collect();
        objects.extend(pods);
    }
    objects.into_iter().for_each(|object| put(&mut view, object));
    view
}

/// The pods that the status of a ReplicaSet tells of.
fn pods_of(set: &Value) -> Vec<Value> {
    let count = |field: &str| set["status"][field].as_i64().unwrap_or_default();
    let pod = |nth: i64| {
        let mut pod = set["spec"]["template"].clone();
        let name = format!("{}-{nth}", set["metadata"]["name"].as_str().unwrap());
        pod["apiVersion"] = json!("v1");
        pod["kind"] = json!("Pod");
        pod["metadata"]["name"] = json!(name);
        pod["metadata"]["namespace"] = set["metadata"]["namespace"].clone();
        pod["metadata"]["uid"] = json!(format!("Pod/{name}"));
        pod["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set["metadata"]["name"],
            "uid": set["metadata"]["uid"], "controller": true,
        }]);
        let ready = if nth < count("availableReplicas") { "True" } else { "False" };
        let since = "2026-01-01T00:00:00Z";
        let conditions = json!([{ "type": "Ready", "status": ready, "lastTransitionTime": since }]);
        pod["status"] = json!({ "phase": "Running", "conditions": conditions });
        pod
    };
    (0..count("replicas")).map(pod).collect()
}

/// The leaves of a value with their paths.
fn leaves(value: &Value, path: String, into: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (field, child) in fields {
                let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
                leaves(child, path, into);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, child) in items.iter().enumerate() {
                leaves(child, format!("{path}[{index}]"), into);
            }
        }
        leaf => into.push((path, leaf.clone())),
    }
}

fn difference(before: &Value, after: &Value) -> String {
    let (mut old, mut new) = (Vec::new(), Vec::new());
    leaves(before, String::new(), &mut old);
    leaves(after, String::new(), &mut new);
    old.retain(|(path, _)| !path.is_empty()); // Nothing at all has no leaves.
    let gone = old.iter().filter(|leaf| !new.contains(leaf)).map(|(path, value)| format!("  - {path}: {value}\n"));
    let added = new.iter().filter(|leaf| !old.contains(leaf)).map(|(path, value)| format!("  {path}: {value}\n"));
    gone.chain(added).collect()
}

fn called(view: &View, key: &Key) -> String {
    let kind = view.catalogue().kind(key.kind);
    if kind.namespaced {
        format!("{} {}/{}", kind.kind, key.namespace, key.name)
    } else {
        format!("{} {}", kind.kind, key.name)
    }
}

fn key_of(view: &View, value: &Value) -> Key {
    let group = value["apiVersion"].as_str().unwrap().rsplit_once('/').map_or("", |(group, _)| group);
    let kind = view.catalogue().by_kind(group, value["kind"].as_str().unwrap()).unwrap();
    let namespace = value["metadata"]["namespace"].as_str().unwrap_or_default();
    Key::new(kind.id, namespace, value["metadata"]["name"].as_str().unwrap())
}

fn shown(view: &View, change: &Change) -> String {
    let part = |part: &Subresource| if *part == Subresource::Status { " status" } else { "" };
    match change {
        Change::Create(value) => {
            let key = key_of(view, value);
            let mut shown = value.clone();
            // What every object has, and what the template has already, would hide what is decided here.
            let fields = shown.as_object_mut().unwrap();
            fields.remove("apiVersion");
            fields.remove("kind");
            let meta = fields["metadata"].as_object_mut().unwrap();
            meta.remove("name");
            meta.remove("namespace");
            for owner in meta.get_mut("ownerReferences").and_then(Value::as_array_mut).into_iter().flatten() {
                *owner = json!(format!("{} {}", owner["kind"].as_str().unwrap(), owner["name"].as_str().unwrap()));
            }
            for path in ["/spec/containers", "/spec/template/spec", "/data"] {
                if let Some(part) = shown.pointer_mut(path) {
                    *part = json!("…");
                }
            }
            format!("create {}\n{}", called(view, &key), difference(&Value::Null, &shown))
        }
        Change::Update(value, of) => {
            let key = key_of(view, value);
            let stored = view.object(&key).unwrap().value();
            format!("update {}{}\n{}", called(view, &key), part(of), difference(&stored, value))
        }
        Change::Patch { key, part: of, patch, .. } => {
            format!("patch {}{}\n{}", called(view, key), part(of), difference(&Value::Null, patch))
        }
        Change::Scale { key, replicas, .. } => format!("scale {} to {replicas}\n", called(view, key)),
        Change::Bind { key, node, .. } => format!("bind {} to {node}\n", called(view, key)),
        Change::Delete { key, propagation, grace, .. } => {
            let how =
                if *propagation == Propagation::Background { String::new() } else { format!(", {propagation:?}") };
            let grace = grace.map_or_else(String::new, |grace| format!(", grace {grace}"));
            format!("delete {}{how}{grace}\n", called(view, key))
        }
        Change::Event { kind, reason, message, .. } => {
            format!("{} {reason}: {message}\n", if *kind == EventType::Normal { "event" } else { "warning" })
        }
    }
}

/// The plan of a controller about one object.
fn plan(view: &View, controller: &str, name: &str) -> Plan {
    let (namespace, name) = name.split_once('/').unwrap_or(("", name));
    let mut plan = Plan::default();
    let mut found = false;
    for def in kinds::controllers().iter().filter(|def| def.name == controller) {
        let key = Key::new(view.kind_id(def.kind).unwrap(), namespace, name);
        let Some(object) = view.object(&key) else { continue };
        found = true;
        def.plan(object, view, &mut plan).unwrap();
    }
    assert!(found, "no controller {controller} has an object {namespace}/{name}");
    plan
}

/// Whether planning again and again from views that show the status updates comes to an end.
fn settles(mut view: View, mut decided: Plan, controller: &str, name: &str) -> bool {
    for _ in 0..3 {
        let updates: Vec<Value> = decided
            .changes
            .into_iter()
            .filter_map(|(change, _)| match change {
                Change::Update(value, Subresource::Status) => Some(value),
                _ => None,
            })
            .collect();
        if updates.is_empty() {
            return true;
        }
        updates.into_iter().for_each(|value| put(&mut view, value));
        decided = plan(&view, controller, name);
    }
    false
}

fn run(catalogue: &Arc<Catalogue>, case: &Case, controller: &str, name: &str) -> String {
    let view = view_of(catalogue, case);
    let decided = plan(&view, controller, name);
    let mut text: String = decided.changes.iter().map(|(change, _)| shown(&view, change)).collect();
    if let Some(time) = decided.wake_at {
        text.push_str(&format!("wake at {time}\n"));
    }
    assert!(settles(view, decided, controller, name), "{}: the status of {name} does not settle", case.name);
    if text.is_empty() { "-\n".to_owned() } else { text }
}

fn check_file(catalogue: &Arc<Catalogue>, path: &Path) -> usize {
    let mut text = fs::read_to_string(path).unwrap();
    let bless = std::env::var_os("BLESS").is_some();
    let cases = parse(&text.clone());
    for case in &cases {
        let mut checked = 0;
        for (info, wanted) in &case.blocks {
            let Some((controller, name)) = info.strip_prefix("text plan ").and_then(|rest| rest.split_once(' ')) else {
                continue;
            };
            checked += 1;
            let actual = run(catalogue, case, controller, name);
            if bless {
                let start = text.find(&format!("## {}\n", case.name)).unwrap();
                let old = format!("```{info}\n{wanted}```");
                text.replace_range(start.., &text[start..].replacen(&old, &format!("```{info}\n{actual}```"), 1));
            } else {
                assert_eq!(actual.trim_end(), wanted.trim_end(), "{}: {} ({info})", path.display(), case.name);
            }
        }
        assert!(checked > 0, "{}: {} expects no plan", path.display(), case.name);
    }
    if bless {
        fs::write(path, text).unwrap();
    }
    cases.len()
}

fn walk(catalogue: &Arc<Catalogue>, folder: &Path) -> usize {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .map(|path| match () {
            () if path.is_dir() => walk(catalogue, &path),
            () if path.ends_with("cases/plan.md") => check_file(catalogue, &path),
            () => 0,
        })
        .sum()
}

#[test]
fn every_controller_decides_as_its_cases_say() {
    let n_cases = walk(&Arc::new(kinds::catalogue()), &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(n_cases >= 30, "only {n_cases} cases were found");
}

/// A line that is not read by anything is a line that nobody checks.
#[test]
fn every_controller_has_a_name_that_is_an_account() {
    for def in kinds::controllers() {
        let account = format!("{}-controller", def.name);
        assert!(api::names::dns_label(&account).is_empty(), "{account}");
    }
    // The order of fields in JSON is that of their names: hashes of templates depend on it.
    let value = Value::deserialize(json!({"b": 1, "a": 2})).unwrap();
    assert_eq!(value.to_string(), r#"{"a":2,"b":1}"#);
}
