//! What a Deployment and its ReplicaSets remember of each other in annotations: the revisions that
//! `kubectl rollout history` and `undo` read, the cause of change, the size that was wanted last.

use std::collections::BTreeMap;

use api::Plan;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::sets::{HASH_LABEL, Sets};
use super::strategy::Strategy;
use crate::workload::claim::reference;
use crate::workload::hash;
use crate::workload::meta::Meta;

/// Number of a template in a Deployment's history.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
/// Earlier numbers of a template that was rolled back to.
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// `spec.replicas` of the Deployment when the set was resized last.
pub const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
/// The same with the surge.
pub const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";

/// Annotations of a Deployment that its sets do not inherit.
const NOT_INHERITED: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    "deprecated.deployment.rollback.to",
];

/// Longest list of earlier revisions that is kept, in bytes.
const HISTORY_MAX: usize = 2000;

/// The revision of a set, 0 when it has none.
pub fn of(set: &ReplicaSet) -> i64 {
    set.annotation(REVISION).and_then(|revision| revision.parse().ok()).unwrap_or_default()
}

fn next(sets: &Sets<'_>) -> i64 {
    sets.old.iter().map(|set| of(&set.wanted)).max().unwrap_or_default() + 1
}

/// Keeps the new set's annotations and `minReadySeconds` those of the Deployment.
pub fn keep(deployment: &Deployment, sets: &mut Sets<'_>) {
    let revision = next(sets);
    let Some(new) = &mut sets.new else { return };
    let annotations = new.wanted.metadata.annotations.get_or_insert_default();
    annotations.extend(inherited(deployment));
    let before = annotations.get(REVISION).cloned().unwrap_or_default();
    if before.parse::<i64>().unwrap_or_default() < revision {
        annotations.insert(REVISION.to_owned(), revision.to_string());
        if !before.is_empty() {
            remember(annotations, &before);
        }
    }
    let min_ready_seconds = deployment.spec.min_ready_seconds;
    let spec = &mut new.wanted.spec;
    if spec.min_ready_seconds.unwrap_or_default() != min_ready_seconds.unwrap_or_default() {
        spec.min_ready_seconds = min_ready_seconds;
    }
}

fn remember(annotations: &mut BTreeMap<String, String>, revision: &str) {
    let history = annotations.entry(REVISION_HISTORY.to_owned()).or_default();
    if !history.is_empty() {
        history.push(',');
    }
    history.push_str(revision);
    while history.len() > HISTORY_MAX {
        let Some((_, rest)) = history.split_once(',') else { break };
        *history = rest.to_owned();
    }
}

fn inherited(deployment: &Deployment) -> impl Iterator<Item = (String, String)> {
    let annotations = deployment.metadata.annotations.iter().flatten();
    annotations
        .filter(|(key, _)| !NOT_INHERITED.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
}

/// Gives the Deployment the revision of its new set; says whether that was needed.
pub fn number(deployment: &Deployment, sets: &Sets<'_>, plan: &mut Plan) -> bool {
    let Some(stored) = sets.new.as_ref().and_then(|set| set.stored) else { return false };
    let revision = stored.annotation(REVISION);
    if revision.is_none() || deployment.annotation(REVISION) == revision {
        return false;
    }
    let mut numbered = deployment.clone();
    let annotations = numbered.metadata.annotations.get_or_insert_default();
    annotations.insert(REVISION.to_owned(), revision.unwrap_or_default().to_owned());
    plan.update(&numbered, "the current template has this revision");
    true
}

/// The set of the current template, to be created.
pub fn new_set(deployment: &Deployment, strategy: &Strategy, sets: &Sets<'_>) -> ReplicaSet {
    let spec = deployment.spec.clone();
    let mut template = spec.template;
    if let Some(meta) = &mut template.metadata {
        meta.creation_timestamp = None;
    }
    let collisions = deployment.status.as_ref().and_then(|status| status.collision_count);
    let hash = hash::of(&template, collisions);
    let with_hash = |labels: &mut Option<BTreeMap<String, String>>| {
        labels.get_or_insert_default().insert(HASH_LABEL.to_owned(), hash.clone());
    };
    with_hash(&mut template.metadata.get_or_insert_default().labels);
    let labels = template.metadata.as_ref().and_then(|meta| meta.labels.clone());
    let mut selector = spec.selector;
    with_hash(&mut selector.match_labels);
    let mut annotations: BTreeMap<String, String> = inherited(deployment).collect();
    annotations.insert(REVISION.to_owned(), next(sets).to_string());
    annotations.insert(DESIRED_REPLICAS.to_owned(), strategy.replicas.to_string());
    annotations.insert(MAX_REPLICAS.to_owned(), strategy.most().to_string());
    ReplicaSet {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", deployment.name())),
            namespace: Some(deployment.namespace().to_owned()),
            labels,
            annotations: Some(annotations),
            owner_references: Some(vec![reference(deployment)]),
            ..ObjectMeta::default()
        },
        spec: ReplicaSetSpec {
            replicas: Some(new_replicas(strategy, 0, sets.pods())),
            min_ready_seconds: spec.min_ready_seconds,
            selector,
            template: Some(template),
        },
        status: None,
    }
}

/// How many pods the new set may have when it has `now` and all sets together have `all`.
pub fn new_replicas(strategy: &Strategy, now: i32, all: i32) -> i32 {
    if strategy.recreate {
        return strategy.replicas;
    }
    let room = (strategy.most() - all).max(0);
    now + room.min(strategy.replicas - now).max(0)
}

/// Deletes empty old sets beyond `revisionHistoryLimit`, the oldest first.
pub fn forget_old(deployment: &Deployment, sets: &Sets<'_>, plan: &mut Plan) {
    let limit = deployment.spec.revision_history_limit.unwrap_or(10);
    let surplus = sets.old.len().saturating_sub(usize::try_from(limit).unwrap_or_default());
    for set in sets.retired(of).into_iter().take(surplus) {
        if let Some(stored) = &set.stored {
            plan.delete(stored.object, "beyond revisionHistoryLimit");
        }
    }
}
