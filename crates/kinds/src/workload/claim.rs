//! Claiming: which objects an owner's selector gives it, and the references that say so.
//!
//! An owner adopts what its selector matches and nobody controls, and releases what it controls and no longer
//! matches. A plan that adopts or releases does nothing else: the next view shows the result.

use std::ops::Deref;
use std::sync::Arc;

use api::{Change, LabelSelector, Listed, Object, Plan, View};
use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::{Value, json};

use super::change;
use super::meta::Meta;

/// A typed object together with the stored one.
pub struct Held<'a, K> {
    /// As stored.
    pub object: &'a Arc<Object>,
    /// As typed.
    pub typed: &'a K,
}

impl<K> Clone for Held<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Held<'_, K> {}

impl<K> Deref for Held<'_, K> {
    type Target = K;

    fn deref(&self) -> &K {
        self.typed
    }
}

/// An object that can own others.
pub trait Owner: Metadata<Ty = ObjectMeta> {}

impl<K: Metadata<Ty = ObjectMeta>> Owner for K {}

/// The reference by which `owner` manages an object.
pub fn reference<O: Owner>(owner: &O) -> OwnerReference {
    OwnerReference {
        api_version: O::API_VERSION.to_owned(),
        kind: O::KIND.to_owned(),
        name: owner.name().to_owned(),
        uid: owner.uid().to_owned(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

/// What `owner` controls, whatever its labels.
pub fn controlled<'a, O: Owner, K: Listed>(owner: &O, view: &'a View) -> Vec<Held<'a, K>> {
    let kind = view.catalogue().id_of::<K>();
    let uid = owner.uid();
    view.dependents(uid)
        .filter(|object| object.header.key.kind == kind)
        .filter(|object| object.header.controller().is_some_and(|controller| &*controller.uid == uid))
        .filter_map(|object| Some(Held { object, typed: object.typed()? }))
        .collect()
}

/// What `owner` controls by `selector`; `None` when something has to be adopted or released first.
pub fn claim<'a, O: Owner, K: Listed>(
    owner: &O,
    selector: &LabelSelector,
    view: &'a View,
    plan: &mut Plan,
) -> Option<Vec<Held<'a, K>>> {
    let mut mine: Vec<Held<'a, K>> = controlled(owner, view);
    if owner.deleting() {
        return Some(mine);
    }
    let n_changes = plan.changes.len();
    mine.retain(|held| {
        let matches = selector.matches(&held.object.header);
        if !matches && held.object.header.deleting.is_none() {
            plan.push(
                release(owner, held.object),
                format!("{} no longer matches the selector", held.object.header.key.name),
            );
        }
        matches
    });
    if !selector.is_everything() {
        for orphan in orphans::<K>(owner.namespace(), view).filter(|orphan| selector.matches(&orphan.header)) {
            plan.push(
                adopt(owner, orphan),
                format!("{} matches the selector and has no owner", orphan.header.key.name),
            );
        }
    }
    (plan.changes.len() == n_changes).then_some(mine)
}

/// Objects of a type in `namespace` that nobody controls and that stay.
pub fn orphans<'a, K: Listed>(namespace: &str, view: &'a View) -> impl Iterator<Item = &'a Arc<Object>> + use<'a, K> {
    view.objects_in(view.catalogue().id_of::<K>(), namespace)
        .filter(|object| object.header.controller().is_none() && object.header.deleting.is_none())
}

fn adopt<O: Owner>(owner: &O, object: &Object) -> Change {
    let mut references = references(object);
    let uid = owner.uid();
    references.retain(|reference| reference["uid"] != uid);
    references.push(serde_json::to_value(reference(owner)).expect("Kubernetes types serialise to JSON"));
    patch_references(object, references)
}

fn release<O: Owner>(owner: &O, object: &Object) -> Change {
    let mut references = references(object);
    references.retain(|reference| reference["uid"] != owner.uid());
    patch_references(object, references)
}

/// `metadata.ownerReferences` as stored.
fn references(object: &Object) -> Vec<Value> {
    object.value()["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default()
}

/// Replaces an object's owner references; conflicts when the object has changed since.
pub fn patch_references(object: &Object, references: Vec<Value>) -> Change {
    let references = if references.is_empty() { Value::Null } else { Value::Array(references) };
    change::patch_meta(object, json!({ "ownerReferences": references }))
}
