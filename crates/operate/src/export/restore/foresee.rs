//! What the server says before anything is done: by its dry run.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use futures::stream;
use kube::Client;
use serde_json::{Value, json};

use super::apply::path;
use super::{AT_ONCE, Action, MANAGER, Step};
use crate::export::Secrets;
use crate::export::ask::{self, Refused};
use crate::export::clean::{as_file, hide};
use crate::export::compare::{Comparison, Difference, Live, differences, merge_patch};
use crate::export::defaults::TRIAL;
use crate::export::files::Key;
use crate::export::kinds::Kind;

/// Lets the server say what a step comes to: what a file leaves to defaults is no difference, and what it would refuse is
/// known before. `namespaces` come with the same restore: the server can't be asked about what is in them.
pub(super) async fn settled(
    client: &Client,
    mut step: Step,
    live: &BTreeMap<Key, Live>,
    namespaces: &BTreeSet<&str>,
) -> Step {
    if step.action == Action::Create {
        let in_new = step.key.namespace.as_deref().is_some_and(|name| namespaces.contains(name));
        step.refusal = match (in_new, step.new_kind) {
            (false, false) => refusal(client, &step).await,
            (true, _) => wrong_number(client, &step).await,
            (false, true) => None,
        };
        return step;
    }
    let (Action::Change { patch, seen, .. }, Some(kind), Some(live)) = (&step.action, &step.kind, live.get(&step.key))
    else {
        return step;
    };
    match foreseen(client, kind, &step.key, &step.object, patch).await {
        Ok(mut after) => {
            let mut there = live.value.clone();
            if step.without_values {
                for object in [&mut after, &mut there] {
                    hide(object, Secrets::Omit);
                }
            }
            let differences = differences(&step.key, &after, &there, &live.managed);
            step.action = match differences.is_empty() {
                true => Action::Nothing,
                false => Action::Change { patch: patch.clone(), seen: seen.clone(), differences },
            };
        }
        // Whoever may not write may not ask what the rest is either: what the file says is there is there.
        Err(no) if no.code == 403 && differences_of(&step).all(|one| one.file.is_none()) => {
            step.action = Action::Nothing
        }
        Err(no) => step.refusal = Some(no.why),
    }
    step
}

fn differences_of(step: &Step) -> impl Iterator<Item = &Difference> {
    let differences = match &step.action {
        Action::Change { differences, .. } => differences.as_slice(),
        _ => &[],
    };
    differences.iter()
}

/// Why an object could not be created. What another object of the same restore may mend is not said: the dry run does not
/// know that one.
async fn refusal(client: &Client, step: &Step) -> Option<String> {
    let path = format!("{}?dryRun=All&fieldManager={MANAGER}", path(step).ok()?);
    let no = ask::write(client, http::Method::POST, &path, "application/json", &step.object).await.err()?;
    let of_rights = no.code == 403 && no.why.contains("cannot create resource");
    (no.code == 422 || no.code == 400 || of_rights).then_some(no.why)
}

/// Why a service in a namespace that is not there yet can't have the numbers that its file gives it: asked in another
/// namespace, for they are the same in all.
async fn wrong_number(client: &Client, step: &Step) -> Option<String> {
    let spec = &step.object["spec"];
    let given = spec["clusterIP"].as_str().is_some_and(|address| address != "None")
        || spec["ports"].as_array().into_iter().flatten().any(|port| !port["nodePort"].is_null());
    if step.key.kind != "Service" || !step.key.group.is_empty() || !given {
        return None;
    }
    let mut object = step.object.clone();
    object["metadata"] = json!({"name": TRIAL, "namespace": "default"});
    let path = format!("/api/v1/namespaces/default/services?dryRun=All&fieldManager={MANAGER}");
    let no = ask::write(client, http::Method::POST, &path, "application/json", &object).await.err()?;
    (no.code == 422).then_some(no.why)
}

/// An object as it would be after a patch, clean: by the server's dry run.
async fn foreseen(client: &Client, kind: &Kind, key: &Key, object: &Value, patch: &Value) -> Result<Value, Refused> {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let path = kind.path_of(version, key.namespace.as_deref(), &key.name);
    let path = format!("{path}?dryRun=All&fieldManager={MANAGER}");
    let mut after = ask::write(client, http::Method::PATCH, &path, "application/merge-patch+json", patch).await?;
    as_file(&mut after, key.is_secret());
    Ok(after)
}

/// Takes out of a comparison what only the server's defaults make different. Where the server may not be asked, fields
/// that only the cluster has are taken for such; returns of how many objects that is so.
pub async fn settle(
    client: &Client,
    kinds: &BTreeMap<Key, Kind>,
    files: &BTreeMap<Key, &Value>,
    cluster: &BTreeMap<Key, Live>,
    comparison: &mut Comparison,
) -> usize {
    let asked = comparison.changed.iter().map(|changed| async move {
        let key = &changed.key;
        let (kind, file, live) = (kinds.get(key)?, files.get(key)?, cluster.get(key)?);
        if key.is_secret() {
            return None;
        }
        let patch = merge_patch(&live.value, file);
        Some(match foreseen(client, kind, key, file, &patch).await {
            Ok(after) => Ok(differences(key, &after, &live.value, &live.managed)),
            Err(no) => Err(no),
        })
    });
    let asked: Vec<_> = asked.collect();
    let answers: Vec<Option<Result<Vec<Difference>, Refused>>> = stream::iter(asked).buffered(AT_ONCE).collect().await;
    let mut alone = 0;
    for (changed, answer) in comparison.changed.iter_mut().zip(answers) {
        match answer {
            None => {}
            Some(Ok(differences)) => changed.differences = differences,
            // What the file says is wrong: that is a difference.
            Some(Err(no)) if no.code == 422 => {}
            Some(Err(_)) => {
                let before = changed.differences.len();
                changed.differences.retain(|one| one.file.is_some());
                alone += usize::from(changed.differences.len() < before);
            }
        }
    }
    comparison.changed.retain(|changed| !changed.differences.is_empty());
    alone
}
