//! What a pod's worker remembers between decisions.
//!
//! Invariant: all of it may be lost at any time (the process is killed) without harm: the runtime
//! and the API server have what must not be forgotten.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::pod::backoff::Backoff;
use crate::pod::resources::Limits;

/// Everything about one pod that is in neither its object nor the runtime.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    pub volumes: Volumes,
    /// Why there is no sandbox, and when to try again.
    pub sandbox_failure: Option<Failure>,
    /// Housekeeping (removal of what is dead) failed; when to try again.
    pub cleanup_after: Option<Timestamp>,
    pub containers: BTreeMap<String, ContainerMemory>,
    /// The node itself ended the pod: refused, deadline, evicted.
    pub verdict: Option<Verdict>,
    /// When the pod began to stop.
    pub stopping_since: Option<Timestamp>,
    /// The API server has the status of the pod with all its containers ended.
    pub final_reported: bool,
    /// The API server has no such pod any more.
    pub gone: bool,
    /// Containers that are being stopped, with when they will be killed.
    pub killing: BTreeMap<String, Timestamp>,
    /// The container whose start is under way, up to the end of its postStart hook.
    pub starting: Option<String>,
    /// Containers whose start was given up before it ended.
    pub abandoned: BTreeSet<String>,
}

/// Whether the pod's volumes are there.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Volumes {
    #[default]
    Unmounted,
    Mounted,
    Failed(Failure),
}

/// Something that will be tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub message: String,
    pub retry_at: Timestamp,
}

/// Why the node ended a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub reason: String,
    pub message: String,
    /// The grace period that the reason allows, in seconds; the pod's own if unset.
    pub grace: Option<i64>,
}

/// What is remembered of one container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ContainerMemory {
    /// Between restarts.
    pub crash: Backoff,
    /// Between pulls.
    pub pull: Backoff,
    /// Why the last start did not work.
    pub trouble: Option<Trouble>,
    /// The probes of the container that runs.
    pub probes: Probes,
    /// The limits that the runtime was last asked to change to.
    pub resized: Option<Limits>,
}

/// A start that did not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// `ErrImagePull`, `CreateContainerConfigError` …
    pub reason: String,
    pub message: String,
    pub at: Timestamp,
    pub retry_at: Timestamp,
}

/// What probes say about one container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probes {
    /// The container that was probed; results of another one do not count.
    pub id: String,
    /// The startup probe succeeded.
    pub started: bool,
    /// The startup probe gave up.
    pub startup_failed: bool,
    pub ready: bool,
    pub alive: Alive,
}

/// What the liveness probe says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alive {
    #[default]
    Yes,
    Failed,
}

impl Memory {
    /// What the probes say of the container with that id.
    pub fn probes(&self, name: &str, id: &str) -> Option<&Probes> {
        self.containers.get(name).map(|container| &container.probes).filter(|probes| probes.id == id)
    }
}
