//! What the parts of a node share: its clients, and the pods that it runs.
//!
//! The kubelet API, the service proxy and DNS look pods and containers up here; only a pod's own worker
//! writes its entry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::Client;
use tokio::sync::{Semaphore, watch};

use crate::config::Config;
use crate::event::Recorder;
use crate::labels::PodRef;
use crate::objects::Objects;
use crate::pod::inbox::Inbox;
use crate::pod::observed::{Container, Observed};
use crate::register::machine::Machine;
use crate::services::Services;
use crate::volume::tokens::Tokens;

/// Pulls that run at once.
const PULLS: usize = 4;

/// Sandboxes and containers that are made at once: more make none of them faster on a small machine,
/// and all of them later.
const STARTS: usize = 8;

/// The shared state of a node.
pub struct Node {
    pub config: Config,
    /// Talks to the API server as the node.
    pub client: Client,
    /// Talks to the node's containerd.
    pub runtime: cri::Runtime,
    /// Records events.
    pub events: Recorder,
    /// The services of the cluster; `None` until they have been listed.
    pub services: watch::Receiver<Option<Arc<Services>>>,
    pub(crate) objects: Objects,
    pub(crate) tokens: Tokens,
    pub(crate) pulls: Semaphore,
    pub(crate) starts: Semaphore,
    pub(crate) machine: Machine,
    pods: Mutex<HashMap<String, Entry>>,
    /// The uid of the pod that a sandbox or container belongs to, by its id.
    owners: Mutex<HashMap<String, String>>,
    /// Counts what happened to pods.
    changes: watch::Sender<u64>,
}

/// A pod as its worker sees it.
struct Entry {
    view: PodView,
    inbox: Arc<Inbox>,
}

/// A pod of this node at one moment.
#[derive(Clone, Debug)]
pub struct PodView {
    pub id: PodRef,
    /// As the API server has it; `None` for a pod that only the runtime still knows.
    pub pod: Option<Arc<Pod>>,
    /// What the runtime has.
    pub seen: Arc<Observed>,
    /// The status that is being reported.
    pub status: Arc<PodStatus>,
}

impl PodView {
    /// The newest container of that name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.seen.newest(name)
    }
}

impl Node {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { config, client, runtime, events, services, machine } = parts;
        Self {
            objects: Objects::new(client.clone()),
            tokens: Tokens::default(),
            pulls: Semaphore::new(PULLS),
            starts: Semaphore::new(STARTS),
            pods: Mutex::default(),
            owners: Mutex::default(),
            changes: watch::Sender::new(0),
            config,
            client,
            runtime,
            events,
            services,
            machine,
        }
    }

    /// Tells whenever a pod of this node came, went, or changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// All pods of this node.
    pub fn pods(&self) -> Vec<PodView> {
        self.entries().values().map(|entry| entry.view.clone()).collect()
    }

    /// The pod of that name; of several (an old one still stopping), the one that the API server has.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<PodView> {
        let entries = self.entries();
        let mut found: Vec<_> = entries
            .values()
            .map(|entry| &entry.view)
            .filter(|view| view.id.namespace == namespace && view.id.name == name)
            .collect();
        found.sort_by_key(|view| view.pod.is_none());
        found.first().map(|view| (*view).clone())
    }

    /// The pod with that uid.
    pub fn pod_by_uid(&self, uid: &str) -> Option<PodView> {
        self.entries().get(uid).map(|entry| entry.view.clone())
    }

    /// The inbox of the pod that has a sandbox or container with that id.
    pub(crate) fn inbox_of(&self, runtime_id: &str) -> Option<Arc<Inbox>> {
        let uid = self.owners().get(runtime_id).cloned()?;
        self.inbox(&uid)
    }

    /// Notes whose a container is, before it can end.
    pub(crate) fn owns(&self, uid: &str, runtime_id: &str) {
        self.owners().insert(runtime_id.to_owned(), uid.to_owned());
    }

    /// The inbox of the pod with that uid.
    pub(crate) fn inbox(&self, uid: &str) -> Option<Arc<Inbox>> {
        self.entries().get(uid).map(|entry| entry.inbox.clone())
    }

    /// The inboxes of all pods.
    pub(crate) fn inboxes(&self) -> Vec<Arc<Inbox>> {
        self.entries().values().map(|entry| entry.inbox.clone()).collect()
    }

    /// Adds a pod; its worker must be started by the caller.
    pub(crate) fn add(&self, view: PodView, inbox: Arc<Inbox>) {
        self.entries().insert(view.id.uid.clone(), Entry { view, inbox });
    }

    /// Shows a pod's new state to the other parts.
    pub(crate) fn publish(&self, view: PodView) {
        let sandboxes = view.seen.sandboxes.iter().map(|sandbox| &sandbox.id);
        let containers = view.seen.containers.iter().map(|container| &container.id);
        let mut owners = self.owners();
        for id in sandboxes.chain(containers).filter(|id| !owners.contains_key(*id)).collect::<Vec<_>>() {
            owners.insert(id.clone(), view.id.uid.clone());
        }
        drop(owners);
        let mut entries = self.entries();
        let Some(entry) = entries.get_mut(&view.id.uid) else { return };
        let same = entry.view.status == view.status && entry.view.pod.is_some() == view.pod.is_some();
        entry.view = view;
        drop(entries);
        if !same {
            self.changes.send_modify(|count| *count += 1);
        }
    }

    /// Forgets a pod of which nothing is left.
    pub(crate) fn forget(&self, uid: &str) {
        self.entries().remove(uid);
        self.owners().retain(|_, owner| owner != uid);
        self.tokens.forget(uid);
        self.changes.send_modify(|count| *count += 1);
    }

    fn owners(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        // A panic elsewhere leaves the map whole: each change is a single call.
        self.pods.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a [`Node`] is made of.
pub(crate) struct Parts {
    pub config: Config,
    pub client: Client,
    pub runtime: cri::Runtime,
    pub events: Recorder,
    pub services: watch::Receiver<Option<Arc<Services>>>,
    pub machine: Machine,
}
