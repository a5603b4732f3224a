//! Does what a plan says.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::Client;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::time::Instant;

use super::decide::{decide, keep_node_ports, prepared, remembering};
use super::{Action, Done, MANAGER, Step};
use crate::change::{ChangeError, Receipt, Record, Store, touched};
use crate::export::Secrets;
use crate::export::ask::{self, Refused};
use crate::export::clean::{LAST_APPLIED, clean, hide};
use crate::export::compare::Live;

/// How long a new kind may take until it is served.
const SERVED: Duration = Duration::from_secs(30);
/// How long a new namespace may take to get its service account. Pods need one; everything else goes on without.
const ACCOUNT: Duration = Duration::from_secs(10);
/// How often a change is tried when somebody else writes the object at the same time.
const TRIES: u32 = 5;
/// How often is looked, where nothing can be watched yet.
const LOOK: Duration = Duration::from_millis(100);

/// Does what a plan says, and writes a receipt of it. `told` hears of each step as it is done; a step that fails does not
/// keep the others from it. Changes of secrets are not in the receipt: it would hold their values.
///
/// # Errors
/// When the receipt can't be written; nothing is done after that.
pub async fn apply(
    client: &Client,
    steps: &[Step],
    store: &Store,
    mut told: impl FnMut(&Step, Result<Done, String>),
) -> Result<Receipt, ChangeError> {
    let mut receipt = store.open()?;
    let mut written = 0;
    for step in steps {
        let done = match &step.action {
            Action::Nothing | Action::Skip(_) => continue,
            Action::Create => create(client, step).await,
            Action::Change { patch, .. } => change(client, step, Some(patch)).await,
        };
        let done = done.map(|(done, record)| {
            receipt.changes.extend(record);
            done
        });
        told(step, done.map_err(|refused| refused.why));
        // A large receipt is not written anew for each object.
        if receipt.changes.len() - written > receipt.changes.len() / 20 {
            store.write(&receipt)?;
            written = receipt.changes.len();
        }
    }
    store.write(&receipt)?;
    Ok(receipt)
}

pub(super) fn path(step: &Step) -> Result<String, Refused> {
    let kind = step.kind.as_ref().ok_or_else(|| Refused::because("its kind is not served"))?;
    let version = step.object["apiVersion"].as_str().unwrap_or_default();
    Ok(kind.path_in(version, step.key.namespace.as_deref()))
}

fn named(step: &Step) -> Result<String, Refused> {
    Ok(format!("{}/{}", path(step)?, utf8_percent_encode(&step.key.name, NON_ALPHANUMERIC)))
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
    let created = match ask::write(client, http::Method::POST, &managed, "application/json", &remembering(step)).await {
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

/// Looks until it is so, or the limit is over: then the next request says what is wrong.
async fn until(limit: Duration, mut so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + limit;
    while !so().await && Instant::now() < end {
        tokio::time::sleep(LOOK).await;
    }
}

/// Patches an object. Controllers that write its status come in between: then it is looked at once more.
async fn change(client: &Client, step: &Step, planned: Option<&Value>) -> Result<(Done, Option<Record>), Refused> {
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
async fn change_once(client: &Client, step: &Step, planned: Option<&Value>) -> Result<(Done, Option<Record>), Refused> {
    let path = named(step)?;
    let live = ask::get(client, &path).await?;
    let mut value = live.clone();
    clean(&mut value, &mut BTreeSet::new());
    if step.key.is_secret() {
        hide(&mut value, Secrets::Plain);
    }
    if step.without_values {
        hide(&mut value, Secrets::Omit);
        value = prepared(&step.key, &value);
    }
    let there = Live { value, short: None, managed: Value::Null };
    let mut patch = match decide(&step.key, &step.object, Some(&there)) {
        Action::Change { patch, .. } => patch,
        _ => return Ok((Done::Already, None)),
    };
    if planned.is_some_and(|planned| *planned != patch) {
        return Err(Refused::because("it was changed in the meantime: restore again"));
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
