//! The API server as far as plans can tell: objects in memory, written as the real one writes them.
//!
//! Metadata, generation, defaults, validation, deletion with grace and finalizers, namespaces that end. Deliberately
//! absent: authorization, quotas, subresources other than those that plans have words for.

use std::sync::Arc;

use api::patch::merge_patch;
use api::{
    Catalogue, Change, FieldErrors, Key, Kind, LogEntry, LogType, Object, Propagation, Reason, Status, Subresource,
    View,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// Objects in memory.
pub struct Server {
    pub view: View,
    pub now: Timestamp,
    /// What happened since it was asked last.
    pub log: Vec<Arc<LogEntry>>,
    n_made: u64,
}

impl Server {
    pub fn new(now: Timestamp) -> Self {
        let view = View::empty(Arc::new(kinds::catalogue()));
        Self { view, now, log: Vec::new(), n_made: 0 }
    }

    /// The view at the current time.
    pub fn now(&self) -> View {
        self.view.clone().at(self.now)
    }

    fn kind(&self, key: &Key) -> Arc<Kind> {
        Arc::clone(self.view.catalogue().kind(key.kind))
    }

    /// Makes a change.
    pub fn commit(&mut self, change: Change) -> Result<(), Status> {
        match change {
            Change::Create(value) => self.create(value),
            Change::Update(value, part) => {
                let key = key_of(self.view.catalogue(), &value)?;
                self.update(&key, part, |_| Ok(value.clone()))
            }
            Change::Patch { key, uid, part, patch } => {
                self.found(&key, &uid)?;
                let patched = |old: &Value| merge_patch(old, &patch).map_err(Status::internal);
                self.update(&key, part, patched)
            }
            Change::Scale { key, uid, replicas } => {
                self.found(&key, &uid)?;
                self.update(&key, Subresource::Main, |old| {
                    Ok(merged(old, &json!({"metadata": {"resourceVersion": null}, "spec": {"replicas": replicas}})))
                })
            }
            Change::Bind { key, uid, node } => self.bind(&key, &uid, &node),
            Change::Delete { key, uid, propagation, grace } => {
                self.found(&key, &uid)?;
                self.delete(&key, propagation, grace)
            }
            Change::Event { .. } => Ok(()), // Telling people is nobody's concern here: a crash may lose it.
        }
    }

    fn found(&self, key: &Key, uid: &str) -> Result<&Arc<Object>, Status> {
        let plural = self.view.catalogue().kind(key.kind).plural;
        let object = self.view.object(key).ok_or_else(|| Status::not_found("", plural, &key.name))?;
        if &*object.header.uid == uid {
            Ok(object)
        } else {
            Err(Status::conflict("", plural, &key.name, "another uid"))
        }
    }

    fn create(&mut self, mut value: Value) -> Result<(), Status> {
        let key = key_of(self.view.catalogue(), &value)?;
        let kind = self.kind(&key);
        if self.view.object(&key).is_some() {
            return Err(Status::already_exists(kind.group, kind.plural, &key.name));
        }
        if kind.namespaced {
            self.must_take_content(&key.namespace)?;
        } else {
            set(&mut value["metadata"], "namespace", Value::Null);
        }
        if kind.status && kind.kind != "Node" {
            value.as_object_mut().unwrap().remove("status");
        }
        self.n_made += 1;
        value["metadata"]["uid"] = json!(format!("uid-{}", self.n_made));
        value["metadata"]["creationTimestamp"] = json!(time(self.now));
        if kind.generation {
            value["metadata"]["generation"] = json!(1);
        }
        match kind.kind {
            "Namespace" => {
                value["spec"] = json!({"finalizers": ["kubernetes"]});
                value["status"] = json!({"phase": "Active"});
            }
            "Pod" => tolerate(&mut value),
            _ => {}
        }
        kind.prepare(&mut value, None);
        kind.fill_defaults(&mut value);
        validate(&kind, &value, None)?;
        self.put(&kind, value);
        Ok(())
    }

    fn must_take_content(&self, namespace: &str) -> Result<(), Status> {
        let id = self.view.catalogue().by_kind("", "Namespace").unwrap().id;
        match self.view.object(&Key::new(id, "", namespace)) {
            None => Err(Status::not_found("", "namespaces", namespace)),
            Some(object) if object.header.deleting.is_some() => {
                Err(Status::forbidden("", "namespaces", namespace, "is being terminated"))
            }
            Some(_) => Ok(()),
        }
    }

    /// Replaces an object by what `make` makes of it.
    pub fn update(
        &mut self,
        key: &Key,
        part: Subresource,
        make: impl Fn(&Value) -> Result<Value, Status>,
    ) -> Result<(), Status> {
        let kind = self.kind(key);
        let old = self.view.object(key).ok_or_else(|| Status::not_found(kind.group, kind.plural, &key.name))?.clone();
        let old_value = old.value();
        let mut value = make(&old_value)?;
        let sent = value["metadata"]["resourceVersion"].as_str().unwrap_or_default();
        let uid = value["metadata"]["uid"].as_str().unwrap_or_default();
        if (!sent.is_empty() && sent != old.header.revision.to_string()) || (!uid.is_empty() && *uid != *old.header.uid)
        {
            return Err(Status::conflict(kind.group, kind.plural, &key.name, "the object has been modified"));
        }
        restrict(&kind, part, &mut value, &old_value);
        for field in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"] {
            set(&mut value["metadata"], field, old_value["metadata"][field].clone());
        }
        value["metadata"]["resourceVersion"] = old_value["metadata"]["resourceVersion"].clone();
        kind.prepare(&mut value, Some(&old_value));
        kind.fill_defaults(&mut value);
        let content = |value: &Value| merged(value, &json!({"metadata": null, "status": null}));
        if kind.generation && content(&value) != content(&old_value) {
            value["metadata"]["generation"] = json!(old.header.generation + 1);
        }
        if value == old_value {
            return Ok(());
        }
        validate(&kind, &value, Some(&old))?;
        if finished(&value) {
            self.remove(&old);
        } else {
            self.put(&kind, value);
        }
        Ok(())
    }

    fn bind(&mut self, key: &Key, uid: &str, node: &str) -> Result<(), Status> {
        let old = self.found(key, uid)?;
        let mut value = old.value();
        if old.header.deleting.is_some() || value["spec"]["nodeName"].is_string() {
            return Err(Status::conflict("", "pods/binding", &key.name, "it can't be bound"));
        }
        value["spec"]["nodeName"] = json!(node);
        let kind = self.kind(key);
        self.put(&kind, value);
        Ok(())
    }

    /// Deletes an object, or marks it for deletion.
    pub fn delete(&mut self, key: &Key, propagation: Propagation, grace: Option<i64>) -> Result<(), Status> {
        let kind = self.kind(key);
        let Some(old) = self.view.object(key).cloned() else {
            return Err(Status::not_found(kind.group, kind.plural, &key.name));
        };
        let mut value = old.value();
        let grace = if kind.kind == "Pod" { pod_grace(&value, grace) } else { 0 };
        let policy = ["foregroundDeletion", "orphan"];
        let mut finalizers = old.header.finalizers.clone();
        finalizers.retain(|one| !policy.contains(&one.as_str()));
        match propagation {
            Propagation::Background => {}
            Propagation::Foreground => finalizers.push(policy[0].to_owned()),
            Propagation::Orphan => finalizers.push(policy[1].to_owned()),
        }
        set(&mut value["metadata"], "finalizers", if finalizers.is_empty() { Value::Null } else { json!(finalizers) });
        let before = value["metadata"]["deletionGracePeriodSeconds"].as_i64();
        if before.is_none_or(|before| grace < before) {
            let at = self.now.checked_add(SignedDuration::from_secs(grace)).unwrap();
            value["metadata"]["deletionTimestamp"] = json!(time(at));
            value["metadata"]["deletionGracePeriodSeconds"] = json!(grace);
        }
        if before.is_none() && kind.generation {
            value["metadata"]["generation"] = json!(old.header.generation + 1);
        }
        if kind.kind == "Namespace" {
            value["status"]["phase"] = json!("Terminating");
        }
        if finished(&value) {
            self.remove(&old);
        } else if value != old.value() {
            self.put(&kind, value);
        }
        Ok(())
    }

    fn put(&mut self, kind: &Kind, value: Value) {
        let revision = self.view.revision() + 1;
        let object = Arc::new(Object::seal(kind, value, revision));
        self.view.advance(revision);
        let previous = self.view.insert(Arc::clone(&object));
        let kind = if previous.is_some() { LogType::Modified } else { LogType::Added };
        self.log.push(Arc::new(LogEntry { revision, kind, object, previous }));
    }

    fn remove(&mut self, old: &Arc<Object>) {
        let revision = self.view.revision() + 1;
        self.view.advance(revision);
        self.view.remove(&old.header.key);
        let object = Arc::new(Object::seal(&self.kind(&old.header.key), old.value(), revision));
        let entry = LogEntry { revision, kind: LogType::Deleted, object, previous: Some(Arc::clone(old)) };
        self.log.push(Arc::new(entry));
    }
}

/// The key that an object names.
pub fn key_of(catalogue: &Catalogue, value: &Value) -> Result<Key, Status> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let version = text(&value["apiVersion"]);
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let kind = catalogue.by_kind(group, &text(&value["kind"]));
    let kind = kind.ok_or_else(|| Status::new(Reason::NotFound, "no such kind"))?;
    let namespace = if kind.namespaced { text(&value["metadata"]["namespace"]) } else { String::new() };
    Ok(Key::new(kind.id, &namespace, &text(&value["metadata"]["name"])))
}

fn merged(value: &Value, patch: &Value) -> Value {
    merge_patch(value, patch).unwrap()
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn set(object: &mut Value, field: &str, value: Value) {
    let fields = object.as_object_mut().unwrap();
    if value.is_null() {
        fields.remove(field);
    } else {
        fields.insert(field.to_owned(), value);
    }
}

/// Keeps what the written part covers.
fn restrict(kind: &Kind, part: Subresource, value: &mut Value, old: &Value) {
    match part {
        Subresource::Main if kind.status => set(value, "status", old["status"].clone()),
        Subresource::Main => {}
        Subresource::Status => {
            let (meta, status) = (value["metadata"].take(), value["status"].take());
            *value = old.clone();
            set(value, "metadata", meta);
            set(value, "status", status);
        }
    }
}

fn validate(kind: &Kind, value: &Value, old: Option<&Object>) -> Result<(), Status> {
    let mut errors = FieldErrors::default();
    kind.validate(value, old, &mut errors).map_err(Status::internal)?;
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    if errors.is_empty() { Ok(()) } else { Err(Status::invalid(kind.group, kind.kind, name, &errors)) }
}

fn finished(value: &Value) -> bool {
    let meta = &value["metadata"];
    let none = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    let own = if value["kind"] == "Namespace" { &value["spec"]["finalizers"] } else { &Value::Null };
    !meta["deletionTimestamp"].is_null()
        && meta["deletionGracePeriodSeconds"].as_i64().unwrap_or_default() == 0
        && none(&meta["finalizers"])
        && none(own)
}

fn pod_grace(pod: &Value, asked: Option<i64>) -> i64 {
    let ended = matches!(pod["status"]["phase"].as_str(), Some("Failed" | "Succeeded"));
    if !pod["spec"]["nodeName"].is_string() || ended {
        return 0;
    }
    asked.or(pod["spec"]["terminationGracePeriodSeconds"].as_i64()).unwrap_or(30)
}

fn tolerate(pod: &mut Value) {
    let mut tolerations = pod["spec"]["tolerations"].as_array().cloned().unwrap_or_default();
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        if !tolerations.iter().any(|one| one["key"] == key) {
            tolerations
                .push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
        }
    }
    pod["spec"]["tolerations"] = json!(tolerations);
}
