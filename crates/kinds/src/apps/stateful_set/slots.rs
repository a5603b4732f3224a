//! The pods of a StatefulSet by number, and the two revisions that they may have.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};

use super::identity;
use crate::workload::claim::Held;
use crate::workload::history::{History, REVISION_HASH, template_of};
use crate::workload::meta::Meta;

/// Pods by number.
pub struct Slots<'a> {
    start: i32,
    end: i32,
    pods: BTreeMap<i32, Held<'a, Pod>>,
}

impl<'a> Slots<'a> {
    /// Sorts the pods of `set`; pods whose names are none of the set's are left alone.
    pub fn new(set: &StatefulSet, held: Vec<Held<'a, Pod>>) -> Self {
        let start = identity::start(set);
        let pods = held.into_iter().filter_map(|pod| Some((identity::ordinal(set, pod.typed)?, pod))).collect();
        Self { start, end: start + set.spec.replicas.unwrap_or(1).max(0), pods }
    }

    /// The wanted numbers, each with its pod.
    pub fn wanted(&self) -> impl DoubleEndedIterator<Item = (i32, Option<&Held<'a, Pod>>)> {
        (self.start..self.end).map(|ordinal| (ordinal, self.pods.get(&ordinal)))
    }

    /// Pods beyond the wanted numbers, the highest first.
    pub fn condemned(&self) -> Vec<&Held<'a, Pod>> {
        let beyond = self.pods.iter().rev().filter(|(ordinal, _)| !(self.start..self.end).contains(*ordinal));
        beyond.map(|(_, pod)| pod).collect()
    }

    /// Every pod.
    pub fn all(&self) -> impl Iterator<Item = &Held<'a, Pod>> {
        self.pods.values()
    }
}

/// The revision that pods have and the one that they are to get.
pub struct Revisions {
    /// Name of the revision that the last complete update brought.
    pub current_name: String,
    /// Its template; absent when that revision is gone.
    current: Option<PodTemplateSpec>,
    /// Name of the revision of the set's template.
    pub update_name: String,
}

impl Revisions {
    /// Reads the revisions of `set`.
    pub fn of(set: &StatefulSet, history: &History<'_>) -> Self {
        let update_name = history.current.map_or("", |current| current.typed.name()).to_owned();
        let named = set.status.as_ref().and_then(|status| status.current_revision.as_deref()).unwrap_or_default();
        let stored = history.revisions.iter().find(|one| one.name() == named);
        let current = stored.and_then(|one| template_of(one.typed as &ControllerRevision));
        let current_name = if current.is_some() { named.to_owned() } else { update_name.clone() };
        Self { current_name, current, update_name }
    }

    /// The pod with number `ordinal`: below the partition it keeps the current revision.
    pub fn pod(&self, set: &StatefulSet, ordinal: i32) -> Pod {
        let strategy = set.spec.update_strategy.as_ref();
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let partition = rolling.and_then(|rolling| rolling.partition).unwrap_or_default();
        let on_delete = strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("OnDelete"));
        let keeps = !on_delete && ordinal < identity::start(set) + partition;
        let (template, revision) = match &self.current {
            Some(current) if keeps => (current, &self.current_name),
            _ => (&set.spec.template, &self.update_name),
        };
        let mut pod = identity::pod(set, template, ordinal);
        pod.metadata.labels.get_or_insert_default().insert(REVISION_HASH.to_owned(), revision.clone());
        pod
    }
}
