//! What a decision asks for: an ordered list of changes, each with its reason.
//!
//! A plan function is pure and level-triggered: it reads the view and not the event that woke it, and after any
//! prefix of its changes a crash must be harmless. Whoever executes a plan stops at the first conflict and plans
//! again from a newer view.

use std::any::Any;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::kind::GroupKind;
use crate::object::{Key, Object};
use crate::view::View;

/// The part of an object that a write is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subresource {
    /// The object itself, without its status.
    Main,
    /// `status`.
    Status,
}

/// What becomes of an object's dependents when it is deleted (`propagationPolicy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// The collector deletes them afterwards.
    #[default]
    Background,
    /// They are deleted first.
    Foreground,
    /// They lose their owner and stay.
    Orphan,
}

/// Kind of an event about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// Something went as it should.
    Normal,
    /// Somebody should look.
    Warning,
}

/// One wanted write.
#[derive(Clone, Debug)]
pub enum Change {
    /// Create this object (`apiVersion` and `kind` included). Existing already is a conflict.
    Create(Value),
    /// Replace an object; `metadata.resourceVersion` must be that of the view, so a stale plan conflicts.
    Update(Value, Subresource),
    /// A JSON merge patch (RFC 7386) of an object; conflicts when the uid is another one.
    Patch {
        /// The object.
        key: Key,
        /// Its uid in the view.
        uid: String,
        /// The part that is patched.
        part: Subresource,
        /// The patch.
        patch: Value,
    },
    /// Set `spec.replicas` through the scale subresource.
    Scale {
        /// The object.
        key: Key,
        /// Its uid in the view.
        uid: String,
        /// Wanted replicas.
        replicas: i32,
    },
    /// Give a pod its node (the binding subresource).
    Bind {
        /// The pod.
        key: Key,
        /// Its uid in the view.
        uid: String,
        /// The node's name.
        node: String,
    },
    /// Delete an object.
    Delete {
        /// The object.
        key: Key,
        /// Its uid in the view.
        uid: String,
        /// What becomes of its dependents.
        propagation: Propagation,
        /// Seconds of grace; `None` is the object's own default.
        grace: Option<i64>,
    },
    /// Record an event about an object. Failing to record it fails nothing else.
    Event {
        /// `ObjectReference` to the object, as JSON.
        about: Value,
        /// Kind of event.
        kind: EventType,
        /// CamelCase reason.
        reason: String,
        /// One line for people.
        message: String,
    },
}

/// Why a decision can't go on, told to the person who has to do something about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// CamelCase reason.
    pub reason: String,
    /// One line for people, with the next step where there is one.
    pub message: String,
}

impl Blocked {
    /// Blocked for `reason`.
    pub fn new(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into() }
    }
}

/// An ordered list of changes decided from one view.
#[derive(Debug, Default)]
pub struct Plan {
    /// Changes in order, each with why.
    pub changes: Vec<(Change, String)>,
    /// When to look again although nothing changed.
    pub wake_at: Option<Timestamp>,
}

impl Plan {
    /// Asks for a change.
    pub fn push(&mut self, change: Change, reason: impl Into<String>) {
        self.changes.push((change, reason.into()));
    }

    /// Creates a typed object.
    pub fn create<K: Serialize>(&mut self, object: &K, reason: impl Into<String>) {
        self.push(Change::Create(to_value(object)), reason);
    }

    /// Replaces a typed object, at the revision that it was read at.
    pub fn update<K: Serialize>(&mut self, object: &K, reason: impl Into<String>) {
        self.push(Change::Update(to_value(object), Subresource::Main), reason);
    }

    /// Replaces a typed object's status, at the revision that it was read at.
    pub fn update_status<K: Serialize>(&mut self, object: &K, reason: impl Into<String>) {
        self.push(Change::Update(to_value(object), Subresource::Status), reason);
    }

    /// Deletes the object that `object` is now, in the background.
    pub fn delete(&mut self, object: &Object, reason: impl Into<String>) {
        let change = Change::Delete {
            key: object.header.key.clone(),
            uid: object.header.uid.to_string(),
            propagation: Propagation::Background,
            grace: None,
        };
        self.push(change, reason);
    }

    /// Records an event about a typed object.
    pub fn event<K>(&mut self, about: &K, kind: EventType, reason: &str, message: impl Into<String>)
    where
        K: k8s_openapi::Metadata<Ty = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta>,
    {
        let meta = about.metadata();
        let about = serde_json::json!({
            "apiVersion": K::API_VERSION,
            "kind": K::KIND,
            "namespace": meta.namespace,
            "name": meta.name,
            "uid": meta.uid,
            "resourceVersion": meta.resource_version,
        });
        let change = Change::Event { about, kind, reason: reason.to_owned(), message: message.into() };
        self.push(change, "tell people");
    }

    /// Asks to look again at `time`, or earlier if that was asked for already.
    pub fn wake_at(&mut self, time: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(time, |earlier| earlier.min(time)));
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

fn to_value<K: Serialize>(object: &K) -> Value {
    serde_json::to_value(object).expect("Kubernetes types serialise to JSON")
}

/// What wakes a controller beside changes of its own kind.
#[derive(Clone, Copy)]
pub enum Wake {
    /// An object of this kind changed: wake the object that controls it.
    Owned(GroupKind),
    /// An object of this kind changed: wake what the function names (it gets the object after, or the last state
    /// of a deleted one, and the view after the change).
    Map(GroupKind, fn(&Object, &View) -> Vec<Key>),
    /// An object of any kind changed: wake what the function names, as with [`Wake::Map`]. It is called for every
    /// change of every object, so it must be cheap for most of them.
    Any(fn(&Object, &View) -> Vec<Key>),
}

/// A controller of kind `K`.
pub struct Controller<K: 'static> {
    /// Name in logs and as `system:serviceaccount:kube-system:<name>-controller`.
    pub name: &'static str,
    /// What wakes it.
    pub wakes: &'static [Wake],
    /// Decides.
    pub plan: fn(&K, &View, &mut Plan) -> Result<(), Blocked>,
}

/// A controller with its type forgotten.
#[derive(Clone, Copy)]
pub struct ControllerDef {
    /// Name.
    pub name: &'static str,
    /// The kind that it controls.
    pub kind: GroupKind,
    /// What wakes it.
    pub wakes: &'static [Wake],
    controller: &'static (dyn Any + Send + Sync),
    plan: fn(&(dyn Any + Send + Sync), &Object, &View, &mut Plan) -> Result<(), Blocked>,
}

impl ControllerDef {
    /// Forgets the type of a controller.
    pub const fn of<K>(controller: &'static Controller<K>) -> Self
    where
        K: k8s_openapi::Resource + DeserializeOwned + Any + Send + Sync,
    {
        Self {
            name: controller.name,
            kind: GroupKind::of::<K>(),
            wakes: controller.wakes,
            controller,
            plan: plan_of::<K>,
        }
    }

    /// Decides about one object.
    ///
    /// # Errors
    /// When the decision is blocked on something that a person has to change.
    pub fn plan(&self, object: &Object, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
        (self.plan)(self.controller, object, view, plan)
    }
}

fn plan_of<K: DeserializeOwned + Any + Send + Sync>(
    controller: &(dyn Any + Send + Sync),
    object: &Object,
    view: &View,
    plan: &mut Plan,
) -> Result<(), Blocked> {
    let controller: &Controller<K> = controller.downcast_ref().expect("a ControllerDef's controller is of its type");
    match object.typed() {
        Some(typed) => (controller.plan)(typed, view, plan),
        None => Ok(()), // Stored bytes that are not of the kind's type were refused at the door.
    }
}
