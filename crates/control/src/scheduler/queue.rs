//! Pods that wait for a node: by priority, then by age; those that found none wait until something changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use api::{Key, Object};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kinds::workload::pods;

use super::NAME;

/// How long a pod waits at least after its first failure; doubled with each.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How long a pod waits at most between two attempts that something made worth while.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How long a pod waits at most although nothing changed, in case a change was not recognised as one that helps.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

/// Order of attempts: higher priority first, then the older pod.
type Turn = (std::cmp::Reverse<i32>, Timestamp, Key);

/// A pod that found no node.
struct Waiting {
    failures: u32,
    /// Not before this time.
    from: Timestamp,
    /// At this time even if nothing changes.
    until: Timestamp,
    /// Something changed that may help.
    hopeful: bool,
}

/// All pods that wait.
#[derive(Default)]
pub(super) struct Queue {
    ready: BTreeSet<Turn>,
    turns: HashMap<Key, Turn>,
    waiting: BTreeMap<Key, Waiting>,
}

/// Whether a pod is this scheduler's to place.
pub(super) fn wants_node(object: &Object) -> bool {
    let Some(pod) = object.typed::<Pod>() else { return false };
    let Some(spec) = pods::spec(pod) else { return false };
    pods::node_name(pod).is_empty()
        && object.header.deleting.is_none()
        && !pods::finished(pod)
        && spec.scheduler_name.as_deref().is_none_or(|name| name == NAME)
        && spec.scheduling_gates.as_ref().is_none_or(Vec::is_empty)
}

impl Queue {
    /// Adds a pod to be tried at the next turn.
    pub(super) fn add(&mut self, object: &Object) {
        let key = object.header.key.clone();
        if self.turns.contains_key(&key) {
            return;
        }
        let Some(pod) = object.typed::<Pod>() else { return };
        let priority = pods::spec(pod).and_then(|spec| spec.priority).unwrap_or_default();
        let created = pod.metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0);
        let turn = (std::cmp::Reverse(priority), created, key.clone());
        self.ready.insert(turn.clone());
        self.turns.insert(key, turn);
    }

    /// Whether a pod waits because it found no node.
    pub(super) fn is_waiting(&self, key: &Key) -> bool {
        self.waiting.contains_key(key)
    }

    /// Forgets a pod.
    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(turn) = self.turns.remove(key) {
            self.ready.remove(&turn);
        }
        self.waiting.remove(key);
    }

    /// The pod whose turn it is.
    pub(super) fn next(&mut self) -> Option<Key> {
        let (_, _, key) = self.ready.pop_first()?;
        self.turns.remove(&key);
        Some(key)
    }

    /// A pod found no node: it waits for a change.
    pub(super) fn failed(&mut self, key: Key, now: Timestamp) {
        let failures = self.waiting.get(&key).map_or(0, |waiting| waiting.failures);
        let wait = FIRST_WAIT.saturating_mul(1 << failures.min(8)).min(LONGEST_WAIT);
        let waiting = Waiting { failures: failures + 1, from: now + wait, until: now + LOOK_AGAIN, hopeful: false };
        self.waiting.insert(key, waiting);
    }

    /// Something changed that may help those that wait.
    pub(super) fn hope(&mut self) {
        self.waiting.values_mut().for_each(|waiting| waiting.hopeful = true);
    }

    /// Pods whose wait is over, and when the next one's will be.
    pub(super) fn due(&self, now: Timestamp) -> (Vec<Key>, Option<Timestamp>) {
        let mut due = Vec::new();
        let mut next: Option<Timestamp> = None;
        for (key, waiting) in &self.waiting {
            let time = if waiting.hopeful { waiting.from } else { waiting.until };
            if self.turns.contains_key(key) {
                continue;
            }
            if time <= now {
                due.push(key.clone());
            } else {
                next = Some(next.map_or(time, |next| next.min(time)));
            }
        }
        (due, next)
    }
}
