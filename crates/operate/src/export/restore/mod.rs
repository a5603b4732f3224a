//! Brings objects back from files: planned first, in the order in which they need one another.
//!
//! What is there and differs is patched, field by field, and only while it is what the plan saw. Nothing is deleted. Who
//! restores again goes on where the last time ended, because only what differs is in a plan. The deciding parts
//! ([`decide()`], [`rank`], [`mapping`], [`select`]) are pure.

mod apply;
mod around;
mod decide;
mod foresee;
mod mapping;
mod select;

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt as _;
use futures::stream;
use kube::Client;
use serde_json::Value;

use super::ask;
use super::compare::{Difference, Live};
use super::files::{Export, Key};
use super::kinds::Kind;
use super::{Collected, ExportError, Object, Options, Secrets, collect};

pub use apply::apply;
pub use decide::{decide, rank};
pub use foresee::settle;
pub use mapping::{Class, Mapping};
pub use select::Request;

use around::Around;
use decide::{defined, lacks_values, prepared};

/// As whom fields are managed.
const MANAGER: &str = "shipmate-restore";
/// Requests under way at the same time.
const AT_ONCE: usize = 6;

/// What is to be done about an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// It is not there.
    Create,
    /// It is there, and differs.
    Change {
        /// What leads from the cluster to the file.
        patch: Value,
        /// The same for people.
        differences: Vec<Difference>,
    },
    /// It is as the file says.
    Nothing,
    /// It can't be restored.
    Skip(&'static str),
}

/// One object of a plan.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which.
    pub key: Key,
    /// What is done about it.
    pub action: Action,
    /// Why the server would refuse that.
    pub refusal: Option<String>,
    /// What somebody should know who restores it here.
    pub notes: Vec<String>,
    object: Value,
    kind: Option<Kind>,
    /// Whether its kind comes with the same restore.
    new_kind: bool,
    /// Whether it is a secret whose values are not in the file.
    without_values: bool,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// It was created.
    Created,
    /// It was changed.
    Changed,
    /// Somebody else brought it to what the file says.
    Already,
}

/// Plans a restore, in the order in which things are done.
///
/// # Errors
/// When the API can't be asked, or the request does not fit the files.
pub async fn plan(client: &Client, export: &Export, request: &Request) -> Result<Vec<Step>, ExportError> {
    let files = request.select(export)?;
    let (served, failed) = ask::discover(client).await?;
    if let Some(down) = failed.iter().find(|failed| files.keys().any(|key| key.group == failed.group)) {
        return Err(ExportError::Api { what: down.what.clone(), why: down.why.clone() });
    }
    let live = live(client, &served, &files).await?;
    let mut steps = steps(&files, &served, &live, request);
    steps.sort_by(|a, b| (rank(&a.key), &a.key).cmp(&(rank(&b.key), &b.key)));
    let around = Around::of(client, &steps).await;
    let made: BTreeSet<Key> =
        steps.iter().filter(|step| step.action == Action::Create).map(|step| step.key.clone()).collect();
    for step in &mut steps {
        around.meet(step, &made, !request.mapping.namespaces.is_empty());
    }
    let namespaces: BTreeSet<&str> =
        made.iter().filter(|key| key.kind == "Namespace").map(|key| key.name.as_str()).collect();
    let settled = steps.into_iter().map(|step| foresee::settled(client, step, &live, &namespaces));
    Ok(stream::iter(settled.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await)
}

/// What the cluster has of the kinds in the files.
async fn live(
    client: &Client,
    served: &[Kind],
    files: &BTreeMap<Key, Value>,
) -> Result<BTreeMap<Key, Live>, ExportError> {
    let mut live = BTreeMap::new();
    let names: BTreeSet<String> = files.keys().filter_map(|key| find(served, key)).map(|kind| kind.shown()).collect();
    if names.is_empty() {
        return Ok(live);
    }
    let kinds = names.into_iter().collect();
    let options = Options { kinds, all: true, secrets: Secrets::Plain, ..Options::default() };
    let index = collect(client, &options, |collected| {
        if let Collected::Object(Object { value, short, managed, .. }) = collected {
            let key = Key::of(&value);
            if files.contains_key(&key) {
                live.insert(key, Live { value, short, managed });
            }
        }
        Ok(())
    });
    match index.await?.failed.pop() {
        Some(failed) => Err(ExportError::Api { what: failed.what, why: failed.why }),
        None => Ok(live),
    }
}

fn find(kinds: &[Kind], key: &Key) -> Option<Kind> {
    kinds.iter().find(|kind| (&kind.group, &kind.kind) == (&key.group, &key.kind)).cloned()
}

fn steps(files: &BTreeMap<Key, Value>, served: &[Kind], live: &BTreeMap<Key, Live>, request: &Request) -> Vec<Step> {
    let new_kinds: Vec<Kind> = files.values().filter_map(defined).collect();
    let step = |(key, file): (&Key, &Value)| {
        let there = find(served, key);
        let new_kind = there.is_none();
        let kind = there.or_else(|| find(&new_kinds, key));
        let mut notes = Vec::new();
        let mut action = match &kind {
            None => Action::Skip("the API serves no such kind, and no definition of it is in the files"),
            Some(_) => decide(key, file, live.get(key)),
        };
        let shared = key.namespace.is_none() && key.kind != "Namespace";
        if shared && request.is_part() && matches!(action, Action::Change { .. }) {
            action = Action::Nothing;
            notes.push("it is there, and differs: what all namespaces share is not changed".to_owned());
        }
        if matches!(action, Action::Create | Action::Change { .. }) {
            notes.extend(
                request.mapping.mentions(file).into_iter().map(|path| format!("{path} mentions the old namespace")),
            );
        }
        let without_values = lacks_values(key, file);
        let object = prepared(key, file);
        Step { key: key.clone(), action, refusal: None, notes, object, kind, new_kind, without_values }
    };
    files.iter().map(step).collect()
}
