//! An immutable snapshot of all objects at one revision, with the indexes that plans need.
//!
//! A [`View`] is cheap to clone and to keep: maps are persistent, so old views share what did not change.

use std::any::Any;
use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;
use rpds::{HashTrieMapSync, RedBlackTreeMapSync, RedBlackTreeSetSync};
use serde::de::DeserializeOwned;

use crate::kind::{Catalogue, GroupKind, KindId};
use crate::object::{Key, Object, Revision};

type Objects = RedBlackTreeMapSync<(Arc<str>, Arc<str>), Arc<Object>>;
type Keys = RedBlackTreeSetSync<Key>;

/// A type whose objects a view can hand out.
pub trait Listed: k8s_openapi::Resource + DeserializeOwned + Any + Send + Sync {}

impl<K: k8s_openapi::Resource + DeserializeOwned + Any + Send + Sync> Listed for K {}

/// All objects at one revision.
#[derive(Clone)]
pub struct View {
    revision: Revision,
    now: Timestamp,
    catalogue: Arc<Catalogue>,
    kinds: Vec<Objects>,
    changes: Vec<u64>,
    by_owner: HashTrieMapSync<Arc<str>, Keys>,
    by_field: HashTrieMapSync<(KindId, Arc<str>), Keys>,
}

impl View {
    /// The empty view of a catalogue.
    pub fn empty(catalogue: Arc<Catalogue>) -> Self {
        let kinds = vec![Objects::new_sync(); catalogue.kinds().len()];
        let changes = vec![0; kinds.len()];
        Self {
            revision: 0,
            now: Timestamp::UNIX_EPOCH,
            catalogue,
            kinds,
            changes,
            by_owner: HashTrieMapSync::new_sync(),
            by_field: HashTrieMapSync::new_sync(),
        }
    }

    /// The revision that this view shows.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The time for decisions made from this view.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The same view at another time.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// The kinds of this view.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }

    /// Moves to `revision` without a change.
    pub fn advance(&mut self, revision: Revision) {
        self.revision = revision;
    }

    /// Puts `object` in place of what its key named before, which is returned.
    pub fn insert(&mut self, object: Arc<Object>) -> Option<Arc<Object>> {
        let previous = self.remove(&object.header.key);
        let header = &object.header;
        let key = header.key.clone();
        for owner in &header.owners {
            let keys = self.by_owner.get(&owner.uid).cloned().unwrap_or_else(Keys::new_sync);
            self.by_owner.insert_mut(owner.uid.clone(), keys.insert(key.clone()));
        }
        if let Some(value) = header.fields.first().filter(|value| !value.is_empty()) {
            let slot = (key.kind, Arc::from(value.as_str()));
            let keys = self.by_field.get(&slot).cloned().unwrap_or_else(Keys::new_sync);
            self.by_field.insert_mut(slot, keys.insert(key.clone()));
        }
        self.changes[usize::from(key.kind.0)] += 1;
        let objects = &mut self.kinds[usize::from(key.kind.0)];
        objects.insert_mut((key.namespace, key.name), object);
        previous
    }

    /// Takes the object that `key` names out.
    pub fn remove(&mut self, key: &Key) -> Option<Arc<Object>> {
        let objects = &mut self.kinds[usize::from(key.kind.0)];
        let slot = (key.namespace.clone(), key.name.clone());
        let object = objects.get(&slot).cloned()?;
        objects.remove_mut(&slot);
        self.changes[usize::from(key.kind.0)] += 1;
        for owner in &object.header.owners {
            if let Some(keys) = self.by_owner.get(&owner.uid).map(|keys| keys.remove(key)) {
                if keys.is_empty() {
                    self.by_owner.remove_mut(&owner.uid);
                } else {
                    self.by_owner.insert_mut(owner.uid.clone(), keys);
                }
            }
        }
        if let Some(value) = object.header.fields.first().filter(|value| !value.is_empty()) {
            let slot = (key.kind, Arc::from(value.as_str()));
            if let Some(keys) = self.by_field.get(&slot).map(|keys| keys.remove(key)) {
                if keys.is_empty() {
                    self.by_field.remove_mut(&slot);
                } else {
                    self.by_field.insert_mut(slot, keys);
                }
            }
        }
        Some(object)
    }

    /// The object that `key` names.
    pub fn object(&self, key: &Key) -> Option<&Arc<Object>> {
        self.kinds[usize::from(key.kind.0)].get(&(key.namespace.clone(), key.name.clone()))
    }

    /// All objects of a kind, by namespace and name.
    pub fn objects(&self, kind: KindId) -> impl Iterator<Item = &Arc<Object>> {
        self.kinds[usize::from(kind.0)].values()
    }

    /// How many objects of a kind there are.
    pub fn n_objects(&self, kind: KindId) -> usize {
        self.kinds[usize::from(kind.0)].size()
    }

    /// Counts the changes of a kind's objects. Among the views of one store, the same count means the same
    /// objects: what was computed from them is still good.
    pub fn n_changes(&self, kind: KindId) -> u64 {
        self.changes[usize::from(kind.0)]
    }

    /// Objects of a kind in one namespace, by name.
    pub fn objects_in<'a>(&'a self, kind: KindId, namespace: &str) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        let namespace: Arc<str> = namespace.into();
        self.objects_after(kind, &namespace, "").take_while(move |object| object.header.key.namespace == namespace)
    }

    /// Objects of a kind from (`namespace`, `name`) on, that pair included, by namespace and name.
    pub fn objects_after<'a>(
        &'a self,
        kind: KindId,
        namespace: &str,
        name: &str,
    ) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        let from: (Arc<str>, Arc<str>) = (namespace.into(), name.into());
        self.kinds[usize::from(kind.0)].range((Bound::Included(from), Bound::Unbounded)).map(|(_, object)| object)
    }

    /// Objects that name `uid` among their owners, of all kinds.
    pub fn dependents<'a>(&'a self, uid: &str) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        self.by_owner.get(uid).into_iter().flat_map(|keys| keys.iter()).filter_map(|key| self.object(key))
    }

    /// Objects of a kind whose first selectable field has this value: a node's pods, an object's events.
    pub fn by_field<'a>(&'a self, kind: KindId, value: &str) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        self.by_field
            .get(&(kind, Arc::from(value)))
            .into_iter()
            .flat_map(|keys| keys.iter())
            .filter_map(|key| self.object(key))
    }

    /// The number of a kind by its name.
    pub fn kind_id(&self, name: GroupKind) -> Option<KindId> {
        self.catalogue.by_kind(name.group, name.kind).map(|kind| kind.id)
    }

    /// A typed object; `namespace` is empty for cluster-scoped kinds.
    pub fn get<K: Listed>(&self, namespace: &str, name: &str) -> Option<&K> {
        self.object(&Key::new(self.catalogue.id_of::<K>(), namespace, name))?.typed()
    }

    /// All objects of a type.
    pub fn list<K: Listed>(&self) -> impl Iterator<Item = &K> {
        self.objects(self.catalogue.id_of::<K>()).filter_map(|object| object.typed())
    }

    /// All objects of a type in one namespace.
    pub fn list_in<'a, K: Listed>(&'a self, namespace: &str) -> impl Iterator<Item = &'a K> + use<'a, K> {
        self.objects_in(self.catalogue.id_of::<K>(), namespace).filter_map(|object| object.typed())
    }

    /// Objects of a type that `uid` controls (`ownerReferences[].controller`).
    pub fn controlled_by<'a, K: Listed>(&'a self, uid: &str) -> impl Iterator<Item = &'a K> + use<'a, K> {
        let uid: Arc<str> = uid.into();
        let kind = self.catalogue.id_of::<K>();
        self.dependents(&uid)
            .filter(move |object| object.header.key.kind == kind)
            .filter(move |object| object.header.controller().is_some_and(|owner| owner.uid == uid))
            .filter_map(|object| object.typed())
    }

    /// Objects of a type whose first selectable field has this value, for example the pods of a node.
    pub fn list_by_field<'a, K: Listed>(&'a self, value: &str) -> impl Iterator<Item = &'a K> + use<'a, K> {
        self.by_field(self.catalogue.id_of::<K>(), value).filter_map(|object| object.typed())
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "View@{}", self.revision)
    }
}
