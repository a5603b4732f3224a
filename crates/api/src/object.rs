//! One instance of a kind at one revision: its canonical JSON plus what is read often.
//!
//! Invariant: an [`Object`] never changes; a write makes a new one. The JSON bytes are what GET, LIST and
//! WATCH send, so nothing on a read path parses or serialises them again.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::kind::{Kind, KindId};

/// A position in the log; `resourceVersion` on the wire.
pub type Revision = u64;

/// Names one object: kind, namespace (empty when the kind is cluster-scoped) and name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The kind, as numbered by the running process's catalogue.
    pub kind: KindId,
    /// The namespace, or the empty string for cluster-scoped kinds.
    pub namespace: Arc<str>,
    /// The object's name.
    pub name: Arc<str>,
}

impl Key {
    /// Names an object of `kind`; `namespace` is empty for cluster-scoped kinds.
    pub fn new(kind: KindId, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.kind.0, self.namespace, self.name)
    }
}

/// One entry of `metadata.ownerReferences`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnerRef {
    /// `apiVersion` as written, for example `apps/v1`.
    pub api_version: String,
    /// The owner's kind.
    pub kind: String,
    /// The owner's name.
    pub name: String,
    /// The owner's uid; a reference counts only while this matches.
    pub uid: Arc<str>,
    /// Whether this owner manages the object.
    pub controller: bool,
    /// Whether foreground deletion of the owner waits for this object.
    pub block_owner_deletion: bool,
}

/// What is read of every object again and again, extracted once.
#[derive(Clone, Debug)]
pub struct Header {
    /// Kind, namespace and name.
    pub key: Key,
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// The revision of the write that made this object.
    pub revision: Revision,
    /// `metadata.generation`, 0 when absent.
    pub generation: i64,
    /// `metadata.labels`, sorted by key.
    pub labels: Vec<(String, String)>,
    /// `metadata.ownerReferences`.
    pub owners: Vec<OwnerRef>,
    /// `metadata.finalizers`.
    pub finalizers: Vec<String>,
    /// `metadata.deletionTimestamp`.
    pub deleting: Option<Timestamp>,
    /// Values of the kind's selectable fields, in the order of [`Kind::selectable`].
    pub fields: Vec<String>,
}

impl Header {
    /// Extracts the header from an object's JSON.
    pub fn extract(kind: &Kind, value: &Value, revision: Revision) -> Self {
        let meta = &value["metadata"];
        let text = |field: &str| meta[field].as_str().unwrap_or_default();
        let mut labels: Vec<(String, String)> = meta["labels"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        labels.sort();
        let namespace = if kind.namespaced { text("namespace") } else { "" };
        Self {
            key: Key::new(kind.id, namespace, text("name")),
            uid: text("uid").into(),
            revision,
            generation: meta["generation"].as_i64().unwrap_or_default(),
            labels,
            owners: meta["ownerReferences"].as_array().into_iter().flatten().map(owner).collect(),
            finalizers: meta["finalizers"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|finalizer| finalizer.as_str().map(str::to_owned))
                .collect(),
            deleting: text("deletionTimestamp").parse().ok(),
            fields: kind.selectable.iter().map(|name| selectable_text(kind, value, name)).collect(),
        }
    }

    /// The value of one label.
    pub fn label(&self, name: &str) -> Option<&str> {
        let index = self.labels.binary_search_by(|(key, _)| key.as_str().cmp(name)).ok()?;
        Some(&self.labels[index].1)
    }

    /// The owner that manages this object, if there is one.
    pub fn controller(&self) -> Option<&OwnerRef> {
        self.owners.iter().find(|owner| owner.controller)
    }
}

fn owner(value: &Value) -> OwnerRef {
    let text = |field: &str| value[field].as_str().unwrap_or_default();
    OwnerRef {
        api_version: text("apiVersion").to_owned(),
        kind: text("kind").to_owned(),
        name: text("name").to_owned(),
        uid: text("uid").into(),
        controller: value["controller"].as_bool().unwrap_or_default(),
        block_owner_deletion: value["blockOwnerDeletion"].as_bool().unwrap_or_default(),
    }
}

/// The value of a selectable field.
fn selectable_text(kind: &Kind, value: &Value, name: &str) -> String {
    let Some(computed) = kind.computed.iter().find(|field| field.name == name) else {
        return field_text(value, name);
    };
    let text = field_text(value, computed.path);
    if text.is_empty() { computed.absent.to_owned() } else { text }
}

/// The text of a dotted path (`spec.nodeName`), as field selectors compare it; empty when absent.
fn field_text(value: &Value, path: &str) -> String {
    let mut at = value;
    for step in path.split('.') {
        at = &at[step];
    }
    match at {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

/// A typed value, decoded from an object's JSON.
pub type Typed = Box<dyn Any + Send + Sync>;

/// One instance of a kind at one revision.
pub struct Object {
    /// What is read often.
    pub header: Header,
    /// Canonical JSON, with `apiVersion`, `kind` and the revision as `metadata.resourceVersion`.
    pub json: Bytes,
    typed: OnceLock<Option<Typed>>,
}

impl Object {
    /// Seals `value` as the object's state at `revision`: `metadata.resourceVersion` is set, the bytes are made.
    pub fn seal(kind: &Kind, mut value: Value, revision: Revision) -> Self {
        value["metadata"]["resourceVersion"] = Value::String(revision.to_string());
        let header = Header::extract(kind, &value, revision);
        let json = serde_json::to_vec(&value).expect("a JSON value always serialises").into();
        Self { header, json, typed: OnceLock::new() }
    }

    /// Takes bytes that [`Object::seal`] made, as read back from the store.
    ///
    /// # Errors
    /// When the bytes are no JSON object.
    pub fn unseal(kind: &Kind, json: Bytes, revision: Revision) -> Result<Self, serde_json::Error> {
        let value: Value = serde_json::from_slice(&json)?;
        Ok(Self { header: Header::extract(kind, &value, revision), json, typed: OnceLock::new() })
    }

    /// The object's JSON as a value of its own. Costs a parse: for write paths.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.json).expect("sealed bytes are JSON")
    }

    /// The object as `K`, decoded once and kept; `None` when it is not a `K`.
    pub fn typed<K: DeserializeOwned + Any + Send + Sync>(&self) -> Option<&K> {
        self.typed
            .get_or_init(|| serde_json::from_slice::<K>(&self.json).ok().map(|typed| Box::new(typed) as Typed))
            .as_ref()?
            .downcast_ref()
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{}", self.header.key, self.header.revision)
    }
}

/// What happened to an object, in the words of a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogType {
    /// It did not exist before.
    Added,
    /// It existed before.
    Modified,
    /// It is gone.
    Deleted,
}

/// One entry of the log.
#[derive(Debug)]
pub struct LogEntry {
    /// Position in the log.
    pub revision: Revision,
    /// What happened.
    pub kind: LogType,
    /// The object after the write; for a deletion its last state, sealed with the deletion's revision.
    pub object: Arc<Object>,
    /// The object before the write.
    pub previous: Option<Arc<Object>>,
}
