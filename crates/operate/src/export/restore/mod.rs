//! Brings objects back from files: planned first, in the order in which they need one another.
//!
//! What is there and differs is patched, field by field, and only while it is what the plan saw. Nothing is deleted. Who
//! restores again goes on where the last time ended, because only what differs is in a plan. The deciding parts
//! ([`decide()`], [`rank`], [`mapping`], [`select`]) are pure.

mod apply;
mod around;
mod decide;
mod foresee;
mod live;
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
use super::{ExportError, choose, kinds};

pub use apply::apply;
pub use decide::{decide, rank};
pub use foresee::settle;
pub use mapping::{Class, Mapping};
pub use select::Request;

use around::Around;
use decide::{Owner, defined, lacks_values, owners, prepared, same, turns, with_subjects};
use live::Found;

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
        /// What the cluster has where that leads.
        seen: Value,
        /// The same for people.
        differences: Vec<Difference>,
    },
    /// It is as the file says.
    Nothing,
    /// It comes by itself: that is why.
    Leave(&'static str),
    /// It can't be restored.
    Skip(String),
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
    /// When: steps of the same turn need nothing of one another.
    turn: (u8, u8),
    /// What is sent; nothing where there is nothing to be done.
    object: Value,
    owners: Vec<Owner>,
    kind: Option<Kind>,
    /// Whether its kind comes with the same restore.
    new_kind: bool,
    /// Whether it is a secret whose values are not in the file.
    without_values: bool,
}

impl Step {
    /// Whether there is anything to be done.
    pub fn is_work(&self) -> bool {
        matches!(self.action, Action::Create | Action::Change { .. })
    }
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

/// Plans a restore, in the order in which things are done. `told` hears of how many objects were looked at.
///
/// # Errors
/// When the API can't be asked, or the request does not fit the files.
pub async fn plan(
    client: &Client,
    export: Export,
    request: &Request,
    told: impl FnMut(usize),
) -> Result<Vec<Step>, ExportError> {
    let files = request.select(export)?;
    let (served, failed) = ask::discover(client).await?;
    let mut found = live::look(client, &served, &files, told).await;
    for key in files.keys().filter(|key| find(&served, key).is_none()) {
        if let Some(down) = failed.iter().find(|failed| failed.group == key.group) {
            found.unknown.insert(key.clone(), format!("{} does not answer: {}", down.what, down.why));
        }
    }
    let mut steps = steps(&files, &served, &found, request);
    steps.sort_by(|a, b| (a.turn, &a.key).cmp(&(b.turn, &b.key)));
    let around = Around::of(client, &steps).await;
    let made: BTreeSet<Key> =
        steps.iter().filter(|step| step.action == Action::Create).map(|step| step.key.clone()).collect();
    for step in &mut steps {
        around.meet(step, &made, !request.mapping.namespaces.is_empty());
    }
    let namespaces: BTreeSet<&str> =
        made.iter().filter(|key| key.kind == "Namespace").map(|key| key.name.as_str()).collect();
    let settled = steps.into_iter().map(|step| foresee::settled(client, step, &found.live, &namespaces));
    Ok(stream::iter(settled.collect::<Vec<_>>()).buffered(AT_ONCE).collect().await)
}

fn find(kinds: &[Kind], key: &Key) -> Option<Kind> {
    kinds.iter().find(|kind| (&kind.group, &kind.kind) == (&key.group, &key.kind)).cloned()
}

fn steps(files: &BTreeMap<Key, Value>, served: &[Kind], found: &Found, request: &Request) -> Vec<Step> {
    let new_kinds: Vec<Kind> = files.values().filter_map(defined).collect();
    let any = |key: &Key| find(served, key).or_else(|| find(&new_kinds, key));
    let step = |(key, file): (&Key, &Value)| {
        let (kind, new_kind) = (any(key), find(served, key).is_none());
        let owners = owners(key, file, any).unwrap_or_default();
        let action = action(key, file, kind.as_ref(), found);
        // Of most objects nothing is to be done: they are not held once more.
        let is_work = matches!(action, Action::Create | Action::Change { .. });
        let mut step = Step {
            key: key.clone(),
            action,
            refusal: None,
            notes: Vec::new(),
            turn: (0, 0),
            object: if is_work { prepared(key, file) } else { Value::Null },
            owners,
            kind,
            new_kind,
            without_values: lacks_values(key, file),
        };
        if request.is_part() && key.namespace.is_none() && key.kind != "Namespace" {
            shared(&mut step, found.live.get(key));
        }
        if step.is_work() {
            let mentions = request.mapping.mentions(file).into_iter();
            step.notes.extend(mentions.map(|path| format!("{path} mentions the old namespace")));
        }
        step
    };
    let mut steps: Vec<Step> = files.iter().map(step).collect();
    let owned = |step: &Step| (step.key.clone(), step.owners.iter().map(|owner| owner.key.clone()).collect());
    let turns = turns(&steps.iter().map(owned).collect());
    for step in &mut steps {
        step.turn = turns.get(&step.key).copied().unwrap_or_default();
    }
    steps
}

/// What is done about an object, if nothing but itself counts.
fn action(key: &Key, file: &Value, kind: Option<&Kind>, found: &Found) -> Action {
    if let Some(why) = found.unknown.get(key) {
        return Action::Skip(why.clone());
    }
    let Some(kind) = kind else {
        return Action::Skip("the API serves no such kind, and no definition of it is in the files".to_owned());
    };
    // Clean files hold nothing of the kind; those of raw exports do.
    let by_itself = kinds::omitted(kind).or_else(|| {
        let left = choose::left_out(kind, file)?;
        (left != choose::OWNED || owners(key, file, |_| None).is_none()).then_some(left)
    });
    match by_itself {
        Some(why) => Action::Leave(why),
        None => decide(key, file, found.live.get(key)),
    }
}

/// Only a part is restored: what all namespaces share is made where it is missing, and nothing is taken from others.
fn shared(step: &mut Step, live: Option<&Live>) {
    let (Action::Change { .. }, Some(live)) = (&step.action, live) else { return };
    if step.key.kind == "ClusterRoleBinding" && same(&live.value["roleRef"], &step.object["roleRef"]) {
        step.object = with_subjects(&live.value, &step.object);
        step.action = decide(&step.key, &step.object, Some(live));
        return;
    }
    step.action = Action::Nothing;
    step.notes.push("it is there, and differs: what all namespaces share is not changed".to_owned());
}

#[cfg(test)]
pub(super) mod tests;
