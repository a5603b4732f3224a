//! Garbage collection by owner, for every kind alike.
//!
//! An object goes when none of its owners is left. An owner with the finalizer `foregroundDeletion` goes after the
//! dependents that block it, one with `orphan` after its dependents were told to stay. One key is one object; what
//! it does depends on the object and its owners, or on the object and its dependents, never on the event.
//! Deliberately absent: a graph. The view has the index.

use api::{Blocked, Change, EventType, Key, LogEntry, LogType, Object, OwnerRef, Plan, Propagation, View};
use kinds::workload::{change, claim};
use serde_json::Value;
use server::User;

use crate::planner::Planner;
use crate::root_ca::account;
use crate::run::reference;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// Collects garbage.
pub struct Garbage;

impl Planner for Garbage {
    fn name(&self) -> &'static str {
        "generic-garbage-collector"
    }

    fn user(&self, _: &Key) -> User {
        account("generic-garbage-collector")
    }

    fn all(&self, view: &View) -> Vec<Key> {
        let kinds = view.catalogue().kinds().iter();
        kinds.flat_map(|kind| view.objects(kind.id)).filter(|object| concerns(object)).map(key).collect()
    }

    fn woken(&self, entry: &LogEntry, view: &View) -> Vec<Key> {
        let object = &entry.object;
        let before = entry.previous.as_ref();
        let mut keys = Vec::new();
        let owners_changed = before.is_none_or(|before| before.header.owners != object.header.owners);
        let deletion_changed = before.is_none_or(|before| {
            before.header.deleting != object.header.deleting || before.header.finalizers != object.header.finalizers
        });
        if entry.kind == LogType::Deleted {
            keys.extend(view.dependents(&object.header.uid).map(key));
        } else if (owners_changed || deletion_changed) && concerns(object) {
            keys.push(key(object));
            if object.header.deleting.is_some() {
                keys.extend(view.dependents(&object.header.uid).map(key));
            }
        }
        // An owner that waits for its dependents counts them again when one goes or leaves it.
        if entry.kind == LogType::Deleted || owners_changed {
            let owners = [Some(object), before].into_iter().flatten().flat_map(|one| {
                one.header.owners.iter().filter_map(|owner| find(owner, one, view).ok().flatten()).map(key)
            });
            keys.extend(owners);
        }
        keys
    }

    fn plan(&self, key: &Key, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
        let Some(object) = view.object(key) else { return Ok(()) };
        if object.header.deleting.is_some() {
            if has(object, ORPHAN) {
                orphan(object, view, plan);
            } else if has(object, FOREGROUND) {
                delete_dependents(object, view, plan);
            }
            return Ok(());
        }
        if !object.header.owners.is_empty() {
            judge(object, view, plan);
        }
        Ok(())
    }
}

fn key(object: &std::sync::Arc<Object>) -> Key {
    object.header.key.clone()
}

fn has(object: &Object, finalizer: &str) -> bool {
    object.header.finalizers.iter().any(|one| one == finalizer)
}

/// Whether the collector has anything to do with an object.
fn concerns(object: &Object) -> bool {
    let waits = object.header.deleting.is_some() && (has(object, ORPHAN) || has(object, FOREGROUND));
    waits || !object.header.owners.is_empty()
}

/// An owner's kind is not known here, so nothing can be said about it.
struct Unknown;

/// The object that a reference of `dependent` names; `None` when it is gone.
fn find<'v>(
    owner: &OwnerRef,
    dependent: &Object,
    view: &'v View,
) -> Result<Option<&'v std::sync::Arc<Object>>, Unknown> {
    let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
    let kind = view.catalogue().by_kind(group, &owner.kind).ok_or(Unknown)?;
    // A namespaced owner is in the namespace of its dependent; there are no references to another one.
    let namespace = if kind.namespaced { &*dependent.header.key.namespace } else { "" };
    let found = view.object(&Key::new(kind.id, namespace, &owner.name));
    Ok(found.filter(|object| object.header.uid == owner.uid))
}

/// Decides about an object by its owners.
fn judge(object: &Object, view: &View, plan: &mut Plan) {
    let (mut n_solid, mut n_waiting) = (0, 0);
    let mut gone: Vec<&str> = Vec::new();
    let mut waiting: Vec<&str> = Vec::new();
    for owner in &object.header.owners {
        match find(owner, object, view) {
            Err(Unknown) => return, // Nothing is deleted on a guess.
            Ok(None) => gone.push(&owner.uid),
            Ok(Some(found)) if found.header.deleting.is_some() && has(found, FOREGROUND) => {
                n_waiting += 1;
                waiting.push(&owner.uid);
            }
            Ok(Some(_)) => n_solid += 1,
        }
    }
    if n_solid > 0 {
        let leaving: Vec<&str> = gone.into_iter().chain(waiting).collect();
        if !leaving.is_empty() {
            plan.push(without_owners(object, &leaving), "these owners are gone or wait for it to go");
        }
        return;
    }
    if gone.is_empty() && n_waiting == 0 {
        return;
    }
    let has_dependents = view.dependents(&object.header.uid).next().is_some();
    let propagation = match () {
        () if has(object, ORPHAN) => Propagation::Orphan,
        () if has(object, FOREGROUND) || (n_waiting > 0 && has_dependents) => Propagation::Foreground,
        () => Propagation::Background,
    };
    if let Some(owner) = misplaced(object, view) {
        let message = format!(
            "ownerRef [{}/{}, namespace: {}, name: {}, uid: {}] does not exist in namespace {:?}",
            owner.api_version,
            owner.kind,
            object.header.key.namespace,
            owner.name,
            owner.uid,
            object.header.key.namespace
        );
        let event = Change::Event {
            about: reference(&object.value()),
            kind: EventType::Warning,
            reason: "OwnerRefInvalidNamespace".to_owned(),
            message,
        };
        plan.push(event, "an owner in another namespace owns nothing here");
    }
    let delete =
        Change::Delete { key: object.header.key.clone(), uid: object.header.uid.to_string(), propagation, grace: None };
    plan.push(delete, "no owner is left");
}

/// An owner that exists, but in another namespace.
fn misplaced<'o>(object: &'o Object, view: &View) -> Option<&'o OwnerRef> {
    object.header.owners.iter().find(|owner| {
        let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
        let Some(kind) = view.catalogue().by_kind(group, &owner.kind) else { return false };
        kind.namespaced && object.header.key.namespace.is_empty()
    })
}

/// Tells the dependents of an object to stay, then lets it go.
fn orphan(object: &Object, view: &View, plan: &mut Plan) {
    for dependent in view.dependents(&object.header.uid) {
        plan.push(without_owners(dependent, &[&object.header.uid]), "its owner leaves it behind");
    }
    if plan.is_empty() {
        plan.push(change::remove_finalizer(object, ORPHAN), "its dependents are on their own");
    }
}

/// Lets an object go once no dependent blocks it; until then the dependents are judged by their own keys.
fn delete_dependents(object: &Object, view: &View, plan: &mut Plan) {
    let blocks = |dependent: &&std::sync::Arc<Object>| {
        dependent.header.owners.iter().any(|owner| owner.uid == object.header.uid && owner.block_owner_deletion)
    };
    if !view.dependents(&object.header.uid).any(|dependent| blocks(&dependent)) {
        plan.push(change::remove_finalizer(object, FOREGROUND), "no dependent blocks it any more");
    }
}

fn without_owners(object: &Object, uids: &[&str]) -> Change {
    let value = object.value();
    let all = value["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
    let leaves = |reference: &Value| uids.contains(&reference["uid"].as_str().unwrap_or_default());
    claim::patch_references(object, all.into_iter().filter(|reference| !leaves(reference)).collect())
}
