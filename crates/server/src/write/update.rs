//! Update and patch: a new state made from the old one.

use std::sync::Arc;

use api::{FieldErrors, Object, Revision, Status, View};
use serde_json::{Map, Value, json};
use store::{CommitError, Expect};

use super::create::{invalid, validate};
use super::{ATTEMPTS, MODIFIED, Op, Outcome, Part, managed, meta, to_stored};
use crate::admission::{self, Admit};

/// How the new state is made.
pub(crate) enum Modify<'a> {
    /// It was sent as a whole, in the version asked for.
    Replace(Value),
    /// It is made from the old state, both in the version asked for. Called again when others got in between.
    With(&'a (dyn Fn(&Value) -> Result<Value, Status> + Send + Sync)),
}

/// Changes an object.
///
/// # Errors
/// A refusal; 409 when the new state is meant for another revision or uid.
pub(crate) async fn update(op: &Op<'_>, modify: Modify<'_>) -> Result<Outcome, Status> {
    let _turn = admission::turn(op.server, &op.served.kind, op.namespace).await;
    for _ in 0..ATTEMPTS {
        let view = op.view();
        let old = op.current(&view)?;
        let old_value = old.value();
        let (mut value, pinned) = new_state(op, &modify, old, &old_value)?;
        if !settle(op, &view, old, &old_value, &mut value)? {
            return Ok(Outcome::Kept(Arc::clone(old)));
        }
        let written = if is_finished(&value) {
            op.remove(old).await.map(Outcome::Gone)
        } else {
            let expect = Expect::Revision(old.header.revision);
            op.commit(op.key(), expect, value).await.map(Outcome::Kept)
        };
        match written {
            Ok(outcome) => return Ok(outcome),
            Err(CommitError::Conflict(_) | CommitError::Missing(_)) if !pinned => {}
            Err(error) => return Err(op.failed(&error)),
        }
    }
    Err(op.conflict(MODIFIED))
}

/// The new state in the stored version, and whether it is meant for one revision alone.
fn new_state(op: &Op<'_>, modify: &Modify<'_>, old: &Object, old_value: &Value) -> Result<(Value, bool), Status> {
    let mut value = match modify {
        Modify::Replace(value) => value.clone(),
        Modify::With(make) => {
            let mut seen = old_value.clone();
            if let Some(alias) = op.served.alias {
                (alias.serve)(&mut seen);
            }
            make(&seen)?
        }
    };
    to_stored(&op.served, &mut value);
    check_place(op, &value)?;
    let meta = &value["metadata"];
    let revision = meta["resourceVersion"].as_str().unwrap_or_default();
    let pinned = !matches!(revision, "" | "0");
    if pinned {
        let revision: Revision = revision.parse().map_err(|_| {
            let mut errors = FieldErrors::default();
            errors.invalid(&api::Path::new("metadata.resourceVersion"), revision, "must be an unsigned integer");
            invalid(op, &value, &errors)
        })?;
        if revision != old.header.revision {
            return Err(op.conflict(MODIFIED));
        }
    }
    let uid = meta["uid"].as_str().unwrap_or_default();
    if !uid.is_empty() && *uid != *old.header.uid {
        return Err(op.conflict(&format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            old.header.uid
        )));
    }
    // A patched state carries the revision that it was made from; only a revision that was sent pins it.
    Ok((value, pinned && matches!(modify, Modify::Replace(_))))
}

/// Name and namespace must be those of the URL, or absent.
pub(super) fn check_place(op: &Op<'_>, value: &Value) -> Result<(), Status> {
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    if !name.is_empty() && name != op.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            op.name
        )));
    }
    let namespace = value["metadata"]["namespace"].as_str().unwrap_or_default();
    if !namespace.is_empty() && namespace != op.namespace {
        return Err(Status::bad_request(format!(
            "the namespace of the object ({namespace}) does not match the namespace on the URL ({})",
            op.namespace
        )));
    }
    Ok(())
}

/// Everything between a new state as sent and the one that is committed; false when it changes nothing.
fn settle(op: &Op<'_>, view: &View, old: &Arc<Object>, old_value: &Value, value: &mut Value) -> Result<bool, Status> {
    let kind = &op.served.kind;
    let mut errors = FieldErrors::default();
    let managed = value["metadata"]["managedFields"].take();
    meta::on_update(value, old_value, &mut errors);
    if !errors.is_empty() {
        return Err(invalid(op, value, &errors));
    }
    restrict(op, value, old_value);
    let admit = Admit { op, view, old: Some(old) };
    if op.part != Part::Own {
        kind.prepare(value, Some(old_value));
        kind.fill_defaults(value);
    }
    if op.part == Part::Main {
        admission::mutate(&admit, value)?;
    }
    meta::count_generation(kind, value, old_value);
    managed::on_update(op, value, old_value, managed, view.now());
    if value == old_value {
        return Ok(false);
    }
    if op.part == Part::Own {
        return Ok(true);
    }
    validate(op, value, Some(old))?;
    admission::check(&admit, value)?;
    Ok(true)
}

/// Keeps of the new state what the part that is written covers; the rest is as it was.
fn restrict(op: &Op<'_>, value: &mut Value, old: &Value) {
    let mut sent = std::mem::replace(value, Value::Null);
    *value = match op.part {
        Part::Own => sent,
        Part::Main => {
            if op.served.kind.status {
                set(&mut sent, "status", old["status"].clone());
            }
            sent
        }
        Part::Status => {
            let mut kept = old.clone();
            set(&mut kept, "metadata", sent["metadata"].take());
            set(&mut kept, "status", sent["status"].take());
            kept
        }
        Part::Finalize => {
            let mut kept = old.clone();
            if !kept["spec"].is_object() {
                kept["spec"] = json!({});
            }
            set(&mut kept["spec"], "finalizers", sent["spec"]["finalizers"].take());
            kept
        }
    };
}

/// Sets a field, or removes it when there is no value.
fn set(object: &mut Value, field: &str, value: Value) {
    let fields: &mut Map<String, Value> = match object {
        Value::Object(fields) => fields,
        _ => return,
    };
    if value.is_null() {
        fields.remove(field);
    } else {
        fields.insert(field.to_owned(), value);
    }
}

/// Whether an object waits for nothing any more: it is being deleted, its grace is over and no finalizer is left.
pub(super) fn is_finished(value: &Value) -> bool {
    let meta = &value["metadata"];
    !meta["deletionTimestamp"].is_null()
        && meta["deletionGracePeriodSeconds"].as_i64().unwrap_or_default() == 0
        && meta::texts(&meta["finalizers"]).next().is_none()
        && !admission::has_own_finalizers(value)
}
