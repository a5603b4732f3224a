//! Create.

use std::sync::Arc;

use api::{FieldErrors, Object, Status, View};
use serde_json::{Value, json};
use store::{CommitError, Expect};

use super::{Op, managed, meta, to_stored};
use crate::admission::{self, Admit};

/// How often another name is tried when a generated one is taken.
const NAMES: usize = 8;

/// Creates an object that was decoded, in the version asked for.
///
/// # Errors
/// A refusal.
pub(crate) async fn create(op: &Op<'_>, mut value: Value) -> Result<Arc<Object>, Status> {
    to_stored(&op.served, &mut value);
    check_place(op, &mut value)?;
    let base = value["metadata"]["generateName"].as_str().unwrap_or_default().to_owned();
    let generated = value["metadata"]["name"].as_str().unwrap_or_default().is_empty() && !base.is_empty();
    admission::wait(op, &value).await;
    let _turn = admission::turn(op.server, &op.served.kind, op.namespace).await;
    for _ in 0..NAMES {
        let mut attempt = value.clone();
        if generated {
            attempt["metadata"]["name"] = json!(meta::generate(&base));
        }
        let view = op.view();
        let attempt = prepare(op, &view, attempt)?;
        let name = attempt["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let key = op.served.key(op.namespace, &name);
        if let Some(taken) = view.object(&key) {
            if generated {
                continue;
            }
            return Err(op.failed(&CommitError::Exists(Arc::clone(taken))));
        }
        match op.commit(key, Expect::Absent, attempt).await {
            Ok(object) => return Ok(object),
            Err(CommitError::Exists(_)) if generated => {}
            Err(error) => return Err(op.failed(&error)),
        }
    }
    Err(Status::already_exists(op.served.group(), op.served.kind.plural, &base))
}

/// Name and namespace must be those of the URL, or absent.
fn check_place(op: &Op<'_>, value: &mut Value) -> Result<(), Status> {
    let kind = &op.served.kind;
    let sent = value["metadata"]["namespace"].as_str().unwrap_or_default();
    if !sent.is_empty() && sent != op.namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if !op.name.is_empty() && value["metadata"]["name"].as_str().unwrap_or_default().is_empty() {
        value["metadata"]["name"] = json!(op.name);
    }
    let revision = value["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    if !matches!(revision, "" | "0") {
        return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
    }
    if kind.namespaced && op.namespace.is_empty() {
        return Err(Status::bad_request("an empty namespace may not be set during creation"));
    }
    Ok(())
}

/// Everything between a decoded object and the one that is committed.
fn prepare(op: &Op<'_>, view: &View, mut value: Value) -> Result<Value, Status> {
    let kind = &op.served.kind;
    if kind.status
        && !admission::registers_with_status(kind)
        && let Some(fields) = value.as_object_mut()
    {
        fields.remove("status");
    }
    let managed = value["metadata"]["managedFields"].take();
    meta::on_create(kind, &mut value, op.namespace, view);
    kind.prepare(&mut value, None);
    kind.fill_defaults(&mut value);
    let admit = Admit { op, view, old: None };
    admission::mutate(&admit, &mut value)?;
    kind.fill_defaults(&mut value);
    managed::on_create(op, &mut value, managed);
    validate(op, &value, None)?;
    admission::check(&admit, &value)?;
    Ok(value)
}

/// Reports everything that is wrong with an object.
///
/// # Errors
/// 422 with every problem.
pub(super) fn validate(op: &Op<'_>, value: &Value, old: Option<&Object>) -> Result<(), Status> {
    let mut errors = FieldErrors::default();
    meta::validate(&op.served.kind, value, &mut errors);
    op.served.kind.validate(value, old, &mut errors).map_err(|error| undecodable(op, &error))?;
    if errors.is_empty() { Ok(()) } else { Err(invalid(op, value, &errors)) }
}

/// 422.
pub(super) fn invalid(op: &Op<'_>, value: &Value, errors: &FieldErrors) -> Status {
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    Status::invalid(op.served.group(), op.served.kind.kind, name, errors)
}

fn undecodable(op: &Op<'_>, error: &serde_json::Error) -> Status {
    let kind = op.served.kind.kind;
    Status::bad_request(format!("{kind} in version {:?} cannot be handled as a {kind}: {error}", op.served.version()))
}
