//! Makes the changes of a plan, one after the other.

use serde_json::Value;

use super::object::touched;
use super::receipt::{Receipt, Record, Restarted, Store};
use super::{ChangeError, Ground, Plan, file};

/// Makes all changes. `told` hears of each that was made.
///
/// The receipt is written, with a backup of every file, before the first change. After a failure it tells how far this
/// came.
///
/// # Errors
/// The first failure, with the receipt if there is one; nothing is tried after it.
pub async fn apply(
    plan: &Plan,
    findings: Vec<String>,
    ground: &Ground,
    store: &Store,
    mut told: impl FnMut(&str),
) -> Result<Receipt, (Option<Receipt>, ChangeError)> {
    let mut receipt = begin(plan, findings, ground, store).await.map_err(|error| (None, error))?;
    for number in 0..receipt.changes.len() {
        match change(plan, number, &receipt, ground).await {
            Ok((record, words)) => {
                receipt.changes[number] = record;
                told(&words);
            }
            Err(error) => return Err((Some(receipt), error)),
        }
        if let Err(error) = store.write(&receipt) {
            return Err((Some(receipt), error));
        }
    }
    Ok(receipt)
}

/// Restarts a unit, and writes down that it was.
///
/// # Errors
/// When it could not be restarted.
pub async fn restart(
    node: Option<&str>,
    unit: &str,
    ground: &Ground,
    store: &Store,
    receipt: &mut Receipt,
) -> Result<(), ChangeError> {
    let access = ground.access(node).ok_or_else(|| ChangeError::NoWay(node.unwrap_or_default().to_owned()))?;
    // Written down first: a unit that does not come up again needs its old files and another start.
    receipt.restarted.push(Restarted { node: node.map(str::to_owned), unit: unit.to_owned() });
    store.write(receipt)?;
    let ran = access.restart(unit).await?;
    if !ran.succeeded() {
        let why = ran.text().trim().lines().last().unwrap_or("no reason was given").to_owned();
        return Err(ChangeError::File { what: "restart", file: file::shown(node, unit), why });
    }
    Ok(())
}

/// Writes down what is going to be done.
async fn begin(plan: &Plan, findings: Vec<String>, ground: &Ground, store: &Store) -> Result<Receipt, ChangeError> {
    let now = jiff::Zoned::now();
    let mut changes = Vec::new();
    let mut befores = Vec::new();
    for object in &plan.objects {
        let live = object.read(ground).await?;
        let before = touched(&object.patch, &live);
        // Where the evidence saw the object, it must still say the same there.
        if object.seen.as_ref().is_some_and(|seen| touched(&object.patch, seen) != before) {
            return Err(ChangeError::ObjectChanged(object.shown()));
        }
        befores.push(before);
    }
    let id = store.begin(&now)?;
    for (number, file) in plan.files.iter().enumerate() {
        let backup = format!("{number}.before");
        store.put(&id, &backup, &file.old)?;
        changes.push(Record::File {
            node: file.node.clone(),
            path: file.path.clone(),
            backup,
            before: file::sum(&file.old),
            after: file::sum(&file.new),
            done: false,
        });
    }
    for (object, before) in plan.objects.iter().zip(befores) {
        changes.push(Record::Object {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
            before,
            after: object.patch.clone(),
            done: false,
        });
    }
    let time = now.timestamp().to_string();
    let receipt = Receipt { version: 1, id, time, findings, changes, restarted: Vec::new(), undone: false };
    store.write(&receipt)?;
    Ok(receipt)
}

/// Makes one change; gives its record, and words about it.
async fn change(
    plan: &Plan,
    number: usize,
    receipt: &Receipt,
    ground: &Ground,
) -> Result<(Record, String), ChangeError> {
    let mut record = receipt.changes[number].clone();
    match &mut record {
        Record::File { node, path, done, .. } => {
            let file = &plan.files[number];
            let left = file::replace(ground, node.as_deref(), path, (&file.old, &file.new)).await?;
            *done = true;
            let mut words = format!("changed {}", file::shown(node.as_deref(), path));
            if !left.is_empty() {
                words.push_str(&format!("; removed what an earlier run left: {}", left.join(", ")));
            }
            Ok((record, words))
        }
        Record::Created { .. } => unreachable!("a plan creates nothing"),
        Record::Object { before, after, done, .. } => {
            let object = &plan.objects[number - plan.files.len()];
            let live = object.read(ground).await?;
            if touched(&object.patch, &live) != *before {
                return Err(ChangeError::ObjectChanged(object.shown()));
            }
            let patched: Value = object.patch(ground, &object.patch, &live).await?;
            *after = touched(&object.patch, &patched);
            *done = true;
            Ok((record, format!("changed {}", object.shown())))
        }
    }
}
