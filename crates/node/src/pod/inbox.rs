//! What others tell a pod's worker.
//!
//! Bounded by nature: it holds the latest of each kind, not a queue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use tokio::sync::Notify;

use crate::pod::memory::Verdict;
use crate::probe::{ProbeKind, ProbeResult};

/// The latest news for one pod.
#[derive(Default)]
pub(crate) struct Inbox {
    news: Mutex<News>,
    wake: Notify,
}

/// What came since the worker last looked.
#[derive(Default)]
pub(crate) struct News {
    /// The object as the API server has it now.
    pub pod: Option<Arc<Pod>>,
    /// The API server has it no more.
    pub gone: bool,
    /// Something happened in the runtime.
    pub look: bool,
    /// Containers and sandboxes whose processes have ended.
    pub ended: BTreeSet<String>,
    /// Objects that the pod's volumes show may have changed.
    pub refresh: bool,
    pub probes: BTreeMap<(String, ProbeKind), ProbeResult>,
    /// The node wants the pod to end.
    pub verdict: Option<Verdict>,
}

impl Inbox {
    /// Changes the news and wakes the worker.
    pub(crate) fn tell(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner));
        self.wake.notify_one();
    }

    /// Waits until there may be news.
    pub(crate) async fn wait(&self) {
        self.wake.notified().await;
    }

    /// Takes the news.
    pub(crate) fn take(&self) -> News {
        std::mem::take(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
