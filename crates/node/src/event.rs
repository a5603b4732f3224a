//! Events about pods and the node, in Kubernetes' words.
//!
//! Invariant: recording never waits and never fails; what cannot be sent is dropped, because an event
//! must not hold up a container. The same event again raises the count of the first one.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::client::bounded;
use crate::labels::PodRef;

/// Events that wait to be sent.
const QUEUE: usize = 1024;
/// Events that are remembered for counting.
const REMEMBERED: usize = 512;
/// Counting starts anew after this time.
const FORGET: SignedDuration = SignedDuration::from_mins(60);
/// So many different events of one object may come at once …
const BURST: u32 = 25;
/// … and then one in this time.
const REFILL: SignedDuration = SignedDuration::from_mins(5);

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Normal,
    Warning,
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq)]
pub struct About(ObjectReference);

impl About {
    /// A whole pod.
    pub fn pod(pod: &PodRef) -> Self {
        Self(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            namespace: Some(pod.namespace.clone()),
            name: Some(pod.name.clone()),
            uid: Some(pod.uid.clone()),
            ..ObjectReference::default()
        })
    }

    /// One of its containers: `spec.containers{NAME}`.
    pub fn container(pod: &PodRef, field_path: &str) -> Self {
        let Self(pod) = Self::pod(pod);
        Self(ObjectReference { field_path: Some(field_path.to_owned()), ..pod })
    }

    /// A node. Its uid is its name, as for every kubelet.
    pub fn node(name: &str) -> Self {
        Self(ObjectReference {
            kind: Some("Node".to_owned()),
            name: Some(name.to_owned()),
            uid: Some(name.to_owned()),
            ..ObjectReference::default()
        })
    }
}

struct Entry {
    about: About,
    level: Level,
    reason: String,
    message: String,
    at: Timestamp,
}

/// Takes events and sends them in the background.
#[derive(Clone)]
pub struct Recorder {
    queue: mpsc::Sender<Entry>,
}

/// The sending end of a [`Recorder`].
pub(crate) struct Sender {
    queue: mpsc::Receiver<Entry>,
    client: Client,
    node: String,
    /// Newest last.
    known: VecDeque<Known>,
    budgets: VecDeque<Budget>,
}

/// An event that was sent.
struct Known {
    about: About,
    level: Level,
    reason: String,
    message: String,
    name: String,
    count: i32,
    last: Timestamp,
}

/// How many different events an object may still have.
struct Budget {
    uid: Option<String>,
    left: u32,
    refilled: Timestamp,
}

impl Recorder {
    pub(crate) fn new(client: Client, node: &str) -> (Self, Sender) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let task =
            Sender { queue: receiver, client, node: node.to_owned(), known: VecDeque::new(), budgets: VecDeque::new() };
        (Self { queue: sender }, task)
    }

    /// Records an event.
    pub fn record(&self, about: &About, level: Level, reason: &str, message: &str) {
        let entry = Entry {
            about: about.clone(),
            level,
            reason: reason.to_owned(),
            message: message.to_owned(),
            at: Timestamp::now(),
        };
        if self.queue.try_send(entry).is_err() {
            debug!(reason, message, "event dropped: the queue is full");
        }
    }
}

impl Sender {
    /// Sends events until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let entry = tokio::select! {
                entry = self.queue.recv() => entry,
                () = stop.cancelled() => None,
            };
            let Some(entry) = entry else { return };
            if let Err(err) = bounded(self.send(entry)).await {
                debug!(error = %err, "event not sent");
            }
        }
    }

    async fn send(&mut self, entry: Entry) -> Result<(), kube::Error> {
        let namespace = entry.about.0.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let same = |known: &Known| {
            known.about == entry.about
                && known.level == entry.level
                && known.reason == entry.reason
                && known.message == entry.message
                && entry.at.duration_since(known.last) < FORGET
        };
        if let Some(known) = self.known.iter_mut().find(|known| same(known)) {
            known.count += 1;
            known.last = entry.at;
            let patch = json!({ "count": known.count, "lastTimestamp": Time(entry.at) });
            match api.patch(&known.name, &PatchParams::default(), &Patch::Merge(patch)).await {
                // It expired meanwhile: begin anew.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                other => return other.map(|_| ()),
            }
        }
        self.known.retain(|known| !same(known));
        if !self.affordable(&entry) {
            return Ok(());
        }
        let event = self.event(&entry, &namespace);
        let name = event.metadata.name.clone().unwrap_or_default();
        api.create(&PostParams::default(), &event).await?;
        if self.known.len() == REMEMBERED {
            self.known.pop_front();
        }
        let Entry { about, level, reason, message, at } = entry;
        self.known.push_back(Known { about, level, reason, message, name, count: 1, last: at });
        Ok(())
    }

    /// Takes one event from the object's budget.
    fn affordable(&mut self, entry: &Entry) -> bool {
        let uid = &entry.about.0.uid;
        let at = self.budgets.iter().position(|budget| budget.uid == *uid);
        let mut budget = at.and_then(|at| self.budgets.remove(at)).unwrap_or_else(|| Budget {
            uid: uid.clone(),
            left: BURST,
            refilled: entry.at,
        });
        let gained = entry.at.duration_since(budget.refilled).as_secs() / REFILL.as_secs();
        if gained > 0 {
            budget.left = BURST.min(budget.left.saturating_add(u32::try_from(gained).unwrap_or(BURST)));
            budget.refilled = entry.at;
        }
        let affordable = budget.left > 0;
        budget.left = budget.left.saturating_sub(1);
        self.budgets.push_back(budget);
        if self.budgets.len() > REMEMBERED {
            self.budgets.pop_front();
        }
        affordable
    }

    fn event(&self, entry: &Entry, namespace: &str) -> Event {
        let object = entry.about.0.name.as_deref().unwrap_or_default();
        let name = format!("{object}.{:016x}", entry.at.as_nanosecond() & i128::from(u64::MAX));
        let level = match entry.level {
            Level::Normal => "Normal",
            Level::Warning => "Warning",
        };
        Event {
            metadata: ObjectMeta { name: Some(name), namespace: Some(namespace.to_owned()), ..ObjectMeta::default() },
            involved_object: entry.about.0.clone(),
            type_: Some(level.to_owned()),
            reason: Some(entry.reason.clone()),
            message: Some(entry.message.chars().take(1024).collect()),
            count: Some(1),
            first_timestamp: Some(Time(entry.at)),
            last_timestamp: Some(Time(entry.at)),
            source: Some(EventSource { component: Some("kubelet".to_owned()), host: Some(self.node.clone()) }),
            reporting_component: Some("kubelet".to_owned()),
            reporting_instance: Some(self.node.clone()),
            ..Event::default()
        }
    }
}
