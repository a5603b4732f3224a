//! Delete: grace, finalizers and what becomes of dependents.
//!
//! An object with finalizers, or with a grace period (pods), is only marked; it goes when the last of them is done.

use std::sync::Arc;

use api::{FieldErrors, Object, Path, Propagation, Revision, Status};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use store::{CommitError, Expect};

use super::update::is_finished;
use super::{ATTEMPTS, MODIFIED, Op, Outcome, meta, options};
use crate::admission;
use crate::request::Query;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

/// What must be true of an object to be deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preconditions {
    pub(crate) uid: Option<String>,
    pub(crate) revision: Option<Revision>,
}

/// `DeleteOptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeleteOptions {
    pub(crate) grace: Option<i64>,
    /// `None` leaves finalizers that are there already alone.
    pub(crate) propagation: Option<Propagation>,
    pub(crate) preconditions: Preconditions,
    pub(crate) dry_run: bool,
}

impl DeleteOptions {
    /// Reads options from a body, or from the query when there is none.
    ///
    /// # Errors
    /// 422 for values that are not known.
    pub(crate) fn parse(body: Option<&Value>, query: &Query) -> Result<Self, Status> {
        let mut errors = FieldErrors::default();
        let from_query = body.is_none();
        let body = body.unwrap_or(&Value::Null);
        let text = |name: &str| {
            if from_query { query.text(name) } else { body[name].as_str().filter(|text| !text.is_empty()) }
        };
        let flag = |name: &str| {
            if from_query { query.text(name).map(|_| query.flag(name)) } else { body[name].as_bool() }
        };
        let grace = match (from_query, query.text("gracePeriodSeconds")) {
            (true, Some(seconds)) => Some(seconds.parse().map_err(|_| {
                Status::bad_request(format!(
                    "gracePeriodSeconds: strconv.ParseInt: parsing {seconds:?}: invalid syntax"
                ))
            })?),
            _ => body["gracePeriodSeconds"].as_i64(),
        };
        let propagation = propagation(text("propagationPolicy"), flag("orphanDependents"), &mut errors);
        let dry_runs: Vec<&str> =
            if from_query { query.all("dryRun").collect() } else { meta::texts(&body["dryRun"]).collect() };
        let dry_run = options::check_dry_run(&dry_runs, &mut errors);
        if !errors.is_empty() {
            return Err(options::invalid("DeleteOptions", &errors));
        }
        let wanted = &body["preconditions"];
        let revision = match wanted["resourceVersion"].as_str() {
            Some(revision) => Some(revision.parse().map_err(|_| {
                Status::bad_request(format!("preconditions.resourceVersion: Invalid value: {revision:?}"))
            })?),
            None => None,
        };
        let preconditions = Preconditions { uid: wanted["uid"].as_str().map(str::to_owned), revision };
        Ok(Self { grace, propagation, preconditions, dry_run })
    }
}

fn propagation(policy: Option<&str>, orphan: Option<bool>, errors: &mut FieldErrors) -> Option<Propagation> {
    let path = Path::new("propagationPolicy");
    if let (Some(policy), Some(_)) = (policy, orphan) {
        errors.invalid(&path, policy, "orphanDependents and deletionPropagation cannot be both set");
    }
    match (policy, orphan) {
        (Some("Background"), _) | (None, Some(false)) => Some(Propagation::Background),
        (Some("Foreground"), _) => Some(Propagation::Foreground),
        (Some("Orphan"), _) | (None, Some(true)) => Some(Propagation::Orphan),
        (Some(other), _) => {
            errors.not_supported(&path, other, &["Background", "Foreground", "Orphan"]);
            None
        }
        (None, None) => None,
    }
}

/// Deletes an object, or marks it for deletion.
///
/// # Errors
/// A refusal; 409 when a precondition does not hold.
pub(crate) async fn delete(op: &Op<'_>, options: &DeleteOptions) -> Result<Outcome, Status> {
    for _ in 0..ATTEMPTS {
        let view = op.view();
        let old = op.current(&view)?;
        check_preconditions(op, old, &options.preconditions)?;
        admission::check_delete(op, old)?;
        let old_value = old.value();
        let written = match marked(op, &old_value, options, view.now()) {
            None => op.remove(old).await.map(Outcome::Gone),
            Some(value) if value == old_value => return Ok(Outcome::Kept(Arc::clone(old))),
            Some(value) => {
                let expect = Expect::Revision(old.header.revision);
                op.commit(op.key(), expect, value).await.map(Outcome::Kept)
            }
        };
        match written {
            Ok(outcome) => return Ok(outcome),
            Err(CommitError::Conflict(_)) => {}
            Err(error) => return Err(op.failed(&error)),
        }
    }
    Err(op.conflict(MODIFIED))
}

fn check_preconditions(op: &Op<'_>, old: &Object, wanted: &Preconditions) -> Result<(), Status> {
    if let Some(uid) = wanted.uid.as_deref().filter(|uid| *uid != &*old.header.uid) {
        return Err(op.conflict(&format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            old.header.uid
        )));
    }
    if let Some(revision) = wanted.revision.filter(|revision| *revision != old.header.revision) {
        return Err(op.conflict(&format!(
            "the ResourceVersion in the precondition ({revision}) does not match the ResourceVersion in record ({}). The object might have been modified",
            old.header.revision
        )));
    }
    Ok(())
}

/// The object marked for deletion; `None` when it can go at once.
fn marked(op: &Op<'_>, old: &Value, options: &DeleteOptions, now: Timestamp) -> Option<Value> {
    let mut value = old.clone();
    let grace = admission::grace(&op.served.kind, old, options.grace).max(0);
    let finalizers = finalizers(&old["metadata"]["finalizers"], options.propagation);
    let meta = value["metadata"].as_object_mut()?;
    if finalizers.is_empty() {
        meta.remove("finalizers");
    } else {
        meta.insert("finalizers".to_owned(), json!(finalizers));
    }
    let before: Option<Timestamp> = old["metadata"]["deletionTimestamp"].as_str().and_then(|text| text.parse().ok());
    let before_grace = old["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or_default();
    match before {
        None => {
            let at = now.checked_add(SignedDuration::from_secs(grace)).unwrap_or(now);
            meta.insert("deletionTimestamp".to_owned(), json!(meta::time(at)));
            meta.insert("deletionGracePeriodSeconds".to_owned(), json!(grace));
            if let Some(generation) = meta.get("generation").and_then(Value::as_i64).filter(|count| *count > 0) {
                meta.insert("generation".to_owned(), json!(generation + 1));
            }
        }
        // Grace may be shortened, never prolonged. It counts from when deletion was asked for first.
        Some(at) if grace < before_grace => {
            let earlier = SignedDuration::from_secs(before_grace - grace);
            let at = at.checked_sub(earlier).unwrap_or(at);
            meta.insert("deletionTimestamp".to_owned(), json!(meta::time(at)));
            meta.insert("deletionGracePeriodSeconds".to_owned(), json!(grace));
        }
        Some(_) => {}
    }
    admission::on_delete(&op.served.kind, &mut value);
    (!is_finished(&value)).then_some(value)
}

/// Finalizers after a delete with this propagation; `None` leaves them as they are.
fn finalizers(old: &Value, propagation: Option<Propagation>) -> Vec<String> {
    let kept = meta::texts(old).map(str::to_owned);
    let wanted = match propagation {
        None => return kept.collect(),
        Some(Propagation::Background) => None,
        Some(Propagation::Foreground) => Some(FOREGROUND),
        Some(Propagation::Orphan) => Some(ORPHAN),
    };
    let mut finalizers: Vec<String> = kept.filter(|one| one != FOREGROUND && one != ORPHAN).collect();
    finalizers.extend(wanted.map(str::to_owned));
    finalizers
}
