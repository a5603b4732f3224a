//! Puts back what a receipt tells of, and leaves alone what was changed since.

use serde_json::Value;

use super::object::touched;
use super::receipt::{Receipt, Record, Store};
use super::{ChangeError, Ground, ObjectChange, file};

/// What became of one change.
#[derive(Debug)]
pub enum Undone {
    /// It was put back, or would be.
    PutBack(String),
    /// It is as it was before, already.
    Already(String),
    /// It was changed since, or could not be put back; it stays as it is.
    Left(String, ChangeError),
}

/// Puts everything back, the last change first. With `preview` only looks whether it could.
///
/// # Errors
/// When the receipt can't be written afterwards. What can't be put back is in the result.
pub async fn undo(
    receipt: &mut Receipt,
    ground: &Ground,
    store: &Store,
    preview: bool,
) -> Result<Vec<Undone>, ChangeError> {
    let mut undone = Vec::new();
    for record in receipt.changes.iter().rev() {
        let (name, back) = match record {
            Record::File { node, path, .. } => {
                (file::shown(node.as_deref(), path), file_back(record, receipt, ground, store, preview).await)
            }
            Record::Object { .. } => {
                let object = object_of(record);
                (object.shown(), object_back(&object, record, ground, preview).await)
            }
            Record::Created { uid, .. } => {
                let object = object_of(record);
                (object.shown(), created_back(&object, uid, ground, preview).await)
            }
        };
        undone.push(match back {
            Ok(true) => Undone::PutBack(name),
            Ok(false) => Undone::Already(name),
            Err(error) => Undone::Left(name, error),
        });
    }
    if !preview && !undone.iter().any(|one| matches!(one, Undone::Left(..))) {
        receipt.undone = true;
        store.write(receipt)?;
    }
    Ok(undone)
}

/// Puts a file back; false when it is back already.
async fn file_back(
    record: &Record,
    receipt: &Receipt,
    ground: &Ground,
    store: &Store,
    preview: bool,
) -> Result<bool, ChangeError> {
    let Record::File { node, path, backup, before, after, .. } = record else { return Ok(false) };
    let now = file::read(ground, node.as_deref(), path).await?;
    let sum = file::sum(&now);
    if sum == *before {
        return Ok(false);
    }
    if sum != *after {
        return Err(ChangeError::FileChanged(file::shown(node.as_deref(), path)));
    }
    let old = store.backup(&receipt.id, backup)?;
    if file::sum(&old) != *before {
        let why = format!("the backup {backup} was changed");
        return Err(ChangeError::NoReceipt { path: receipt.id.clone(), why });
    }
    if !preview {
        file::replace(ground, node.as_deref(), path, (&now, &old)).await?;
    }
    Ok(true)
}

fn object_of(record: &Record) -> ObjectChange {
    let (api_version, kind, namespace, name, before) = match record {
        Record::Object { api_version, kind, namespace, name, before, .. } => {
            (api_version, kind, namespace, name, before.clone())
        }
        Record::Created { api_version, kind, namespace, name, .. } => (api_version, kind, namespace, name, Value::Null),
        Record::File { .. } => unreachable!("it is called for objects only"),
    };
    ObjectChange {
        api_version: api_version.clone(),
        kind: kind.clone(),
        namespace: namespace.clone(),
        name: name.clone(),
        patch: before,
        seen: None,
    }
}

/// Kinds whose deletion takes along what others keep in them.
const HOLDERS: &[&str] = &["CustomResourceDefinition", "Namespace", "PersistentVolume", "PersistentVolumeClaim"];

/// Deletes what was created; false when it is gone already.
async fn created_back(object: &ObjectChange, uid: &str, ground: &Ground, preview: bool) -> Result<bool, ChangeError> {
    if !object.is_there(ground, uid).await? {
        return Ok(false);
    }
    if HOLDERS.contains(&object.kind.as_str()) {
        return Err(ChangeError::HoldsOthers(object.shown()));
    }
    if !preview {
        object.delete(ground, uid).await?;
    }
    Ok(true)
}

/// Puts an object's touched places back; false when they are back already.
async fn object_back(
    object: &ObjectChange,
    record: &Record,
    ground: &Ground,
    preview: bool,
) -> Result<bool, ChangeError> {
    let Record::Object { before, after, .. } = record else { return Ok(false) };
    let now: Value = object.read(ground).await?;
    if touched(before, &now) == *before {
        return Ok(false);
    }
    if touched(after, &now) != *after {
        return Err(ChangeError::ObjectChanged(object.shown()));
    }
    if !preview {
        object.patch(ground, before, &now).await?;
    }
    Ok(true)
}
