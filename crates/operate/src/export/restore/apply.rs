//! Does what a plan says.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use kube::Client;
use serde_json::Value;
use tokio::time::Instant;

use super::decide::{decide, keep_node_ports, prepared, remembering};
use super::{AT_ONCE, Action, Done, MANAGER, Step};
use crate::change::{ChangeError, Receipt, Record, Store, touched};
use crate::export::Secrets;
use crate::export::ask::{self, Refused};
use crate::export::clean::{LAST_APPLIED, as_file, hide};
use crate::export::compare::Live;
use crate::export::kinds::Kind;

/// How long a new kind may take until it is served.
const SERVED: Duration = Duration::from_secs(30);
/// How long a new namespace may take to get its service account. Pods need one; everything else goes on without.
const ACCOUNT: Duration = Duration::from_secs(10);
/// How often a change is tried when somebody else writes the object at the same time.
const TRIES: u32 = 5;
/// How often is looked, where nothing can be watched yet.
const LOOK: Duration = Duration::from_millis(100);

/// Does what a plan says, and writes a receipt of it, which `store` has opened. What needs nothing of one another is done
/// at the same time. `told` hears of each step as it is done; a step that fails does not keep the others from it. Changes
/// of secrets are not in the receipt: it would hold their values.
///
/// # Errors
/// When the receipt can't be written; nothing is done after that.
pub async fn apply(
    client: &Client,
    steps: &[Step],
    store: &Store,
    receipt: &mut Receipt,
    mut told: impl FnMut(&Step, Result<Done, String>),
) -> Result<(), ChangeError> {
    for group in steps.chunk_by(|a, b| a.turn == b.turn) {
        let work = group.iter().filter(|step| step.is_work());
        let work = work.map(|step| async move { (step, carry_out(client, step).await) });
        let mut done = stream::iter(work.collect::<Vec<_>>()).buffer_unordered(AT_ONCE);
        while let Some((step, done)) = done.next().await {
            let done = match done {
                Ok((done, record)) => {
                    record.map_or(Ok(()), |record| store.append(receipt, record))?;
                    Ok(done)
                }
                Err(refused) => Err(refused.why),
            };
            told(step, done);
        }
    }
    store.close(receipt)
}

async fn carry_out(client: &Client, step: &Step) -> Result<(Done, Option<Record>), Refused> {
    match &step.action {
        Action::Create => create(client, step).await,
        Action::Change { patch, seen, .. } => change(client, step, Some((patch, seen))).await,
        Action::Nothing | Action::Leave(_) | Action::Skip(_) => Ok((Done::Already, None)),
    }
}

fn kind_and_version(step: &Step) -> Result<(&Kind, &str), Refused> {
    let kind = step.kind.as_ref().ok_or_else(|| Refused::because("its kind is not served"))?;
    Ok((kind, step.object["apiVersion"].as_str().unwrap_or_default()))
}

pub(super) fn path(step: &Step) -> Result<String, Refused> {
    let (kind, version) = kind_and_version(step)?;
    Ok(kind.path_in(version, step.key.namespace.as_deref()))
}

fn named(step: &Step) -> Result<String, Refused> {
    let (kind, version) = kind_and_version(step)?;
    Ok(kind.path_of(version, step.key.namespace.as_deref(), &step.key.name))
}

async fn create(client: &Client, step: &Step) -> Result<(Done, Option<Record>), Refused> {
    let path = path(step)?;
    if step.new_kind {
        until(
            SERVED,
            async || !matches!(ask::get(client, &format!("{path}?limit=1")).await, Err(no) if no.code == 404),
        )
        .await;
    }
    let managed = format!("{path}?fieldManager={MANAGER}");
    let object = owned(client, step, remembering(step)).await;
    let created = match ask::write(client, http::Method::POST, &managed, "application/json", &object).await {
        Ok(created) => created,
        // Controllers make some objects by themselves.
        Err(no) if no.code == 409 && no.why.contains("already exists") => return change(client, step, None).await,
        Err(no) => return Err(no),
    };
    if step.key.group.is_empty() && step.key.kind == "Namespace" {
        let account = format!("/api/v1/namespaces/{}/serviceaccounts/default", step.key.name);
        until(ACCOUNT, async || ask::get(client, &account).await.is_ok()).await;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let record = Record::Created {
        api_version: text(&step.object["apiVersion"]),
        kind: step.key.kind.clone(),
        namespace: step.key.namespace.clone().unwrap_or_default(),
        name: step.key.name.clone(),
        uid: text(&created["metadata"]["uid"]),
    };
    Ok((Done::Created, Some(record)))
}

/// The object with its owners: each has another id now.
async fn owned(client: &Client, step: &Step, mut object: Value) -> Value {
    let mut owners = Vec::new();
    for owner in &step.owners {
        // Without its owner it stays when the owner would take it along; that is better than not to come back.
        if let Ok(live) = ask::get(client, &owner.path).await {
            let mut reference = owner.reference.clone();
            reference["uid"] = live["metadata"]["uid"].clone();
            owners.push(reference);
        }
    }
    if !owners.is_empty() {
        object["metadata"]["ownerReferences"] = Value::Array(owners);
    }
    object
}

/// Who wrote an object last and when, by the server's own record.
fn last_writer(live: &Value) -> String {
    let entries = live["metadata"]["managedFields"].as_array().into_iter().flatten();
    let entries = entries.filter(|entry| entry["subresource"] != "status");
    let last = entries.max_by_key(|entry| entry["time"].as_str().unwrap_or_default().to_owned());
    match last.map(|last| (last["manager"].as_str(), last["time"].as_str())) {
        Some((Some(manager), Some(time))) => format!(" by {manager}, {time}"),
        _ => String::new(),
    }
}

/// Looks until it is so, or the limit is over: then the next request says what is wrong.
async fn until(limit: Duration, mut so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + limit;
    while !so().await && Instant::now() < end {
        tokio::time::sleep(LOOK).await;
    }
}

/// Patches an object. Controllers that write its status come in between: then it is looked at once more.
async fn change(
    client: &Client,
    step: &Step,
    planned: Option<(&Value, &Value)>,
) -> Result<(Done, Option<Record>), Refused> {
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match change_once(client, step, planned).await {
            Err(no) if no.code == 409 && tries > 0 => {}
            done => return done,
        }
    }
}

/// Patches an object, if that is still the patch that was planned.
async fn change_once(
    client: &Client,
    step: &Step,
    planned: Option<(&Value, &Value)>,
) -> Result<(Done, Option<Record>), Refused> {
    let path = named(step)?;
    let live = ask::get(client, &path).await?;
    let mut value = live.clone();
    as_file(&mut value, step.key.is_secret());
    if step.without_values {
        hide(&mut value, Secrets::Omit);
        value = prepared(&step.key, &value);
    }
    let there = Live { value, short: None, managed: Value::Null };
    let (mut patch, seen) = match decide(&step.key, &step.object, Some(&there)) {
        Action::Change { patch, seen, .. } => (patch, seen),
        _ => return Ok((Done::Already, None)),
    };
    // The same patch may overwrite something else than what was shown.
    if planned.is_some_and(|planned| planned != (&patch, &seen)) {
        return Err(Refused::because(format!("it was changed in the meantime{}: restore again", last_writer(&live))));
    }
    keep_node_ports(&mut patch, &live);
    let touches = patch.clone();
    if let Some(applied) = remembering(step).pointer_mut("/metadata/annotations").map(|all| all[LAST_APPLIED].take())
        && applied.is_string()
    {
        patch["metadata"]["annotations"][LAST_APPLIED] = applied;
    }
    patch["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
    let managed = format!("{path}?fieldManager={MANAGER}");
    let patched = ask::write(client, http::Method::PATCH, &managed, "application/merge-patch+json", &patch).await?;
    let record = Record::Object {
        api_version: step.object["apiVersion"].as_str().unwrap_or_default().to_owned(),
        kind: step.key.kind.clone(),
        namespace: step.key.namespace.clone().unwrap_or_default(),
        name: step.key.name.clone(),
        before: touched(&touches, &live),
        after: touched(&touches, &patched),
        done: true,
    };
    Ok((Done::Changed, Some(record).filter(|_| !step.key.is_secret())))
}
