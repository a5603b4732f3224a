//! The scheduler without its hands: what it has seen of the log, and what it decides next.
//!
//! A pod that was given a node counts there from that moment on ("assumed"), long before its binding is committed,
//! so that decisions need not wait for commits. When a binding fails, the pod is put back.

use std::collections::HashSet;
use std::sync::Arc;

use api::{KindId, LogEntry, LogType, Object, Revision, View};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod};
use kinds::workload::pods;

use super::cluster::Cluster;
use super::cycle::{self, Choice};
use super::node;
use super::pod::PodInfo;
use super::preempt::Preemption;
use super::queue::Queue;

/// Whose pods are scheduled here.
const NAME: &str = "default-scheduler";

/// What to do about a pod.
#[derive(Debug)]
pub enum Decision {
    /// Give it a node.
    Bind {
        /// The pod.
        pod: Arc<PodInfo>,
        /// The node.
        node: Arc<str>,
    },
    /// Say why it waits.
    Wait {
        /// The pod.
        pod: Arc<PodInfo>,
        /// Why.
        message: String,
        /// Pods to delete for it.
        preemption: Option<Preemption>,
    },
}

/// What the scheduler knows.
pub struct State {
    cluster: Cluster,
    queue: Queue,
    assumed: HashSet<Arc<str>>,
    seen: Revision,
    turn: usize,
    pods: KindId,
    nodes: KindId,
    volumes: [KindId; 2],
}

impl State {
    /// Starts from a view.
    pub fn new(view: &View) -> Self {
        let catalogue = view.catalogue();
        let mut state = Self {
            cluster: Cluster::default(),
            queue: Queue::default(),
            assumed: HashSet::new(),
            seen: view.revision(),
            turn: 0,
            pods: catalogue.id_of::<Pod>(),
            nodes: catalogue.id_of::<Node>(),
            volumes: [catalogue.id_of::<PersistentVolume>(), catalogue.id_of::<PersistentVolumeClaim>()],
        };
        view.objects(state.nodes).for_each(|node| state.cluster.put_node(node));
        view.objects(state.pods).for_each(|pod| state.put_pod(pod, None, view.now()));
        state
    }

    /// Takes a change in.
    pub fn observe(&mut self, entry: &LogEntry, now: Timestamp) {
        if entry.revision <= self.seen {
            return; // The view that it started from showed it.
        }
        self.seen = entry.revision;
        let object = &entry.object;
        let kind = object.header.key.kind;
        let gone = entry.kind == LogType::Deleted;
        if kind == self.nodes {
            if gone {
                self.cluster.remove_node(&object.header.key.name);
            } else {
                self.cluster.put_node(object);
                let helps = entry.previous.as_ref().is_none_or(|before| node::may_help(before, object));
                if helps {
                    self.queue.changed(now, |_| true);
                }
            }
        } else if kind == self.pods {
            if gone {
                self.remove_pod(object, now);
            } else {
                self.put_pod(object, entry.previous.as_deref(), now);
            }
        } else if self.volumes.contains(&kind) {
            self.queue.changed(now, |pod| pod.spec.volumes.is_some());
        }
    }

    fn put_pod(&mut self, object: &Arc<Object>, before: Option<&Object>, now: Timestamp) {
        let Some(pod) = object.typed::<Pod>() else { return };
        let uid = &object.header.uid;
        let node = pods::node_name(pod);
        if pods::finished(pod) {
            self.remove_pod(object, now);
        } else if !node.is_empty() {
            self.assumed.remove(uid);
            self.queue.remove(uid);
            self.cluster.withdraw(uid);
            let Some(info) = PodInfo::of(object) else { return };
            self.cluster.put_pod(&info, node);
            // A pod in its place can only help those that look for company, or for pods to be counted.
            let new = before.is_none_or(|before| before.header.labels != object.header.labels || before.header.fields.first() != object.header.fields.first());
            if new {
                self.queue.changed(now, |waiting| waiting.has_affinity() || !waiting.spread.is_empty());
            }
        } else if self.assumed.contains(uid) {
            // Its binding is under way; the entry that shows it comes later.
        } else if waits(pod) && object.header.deleting.is_none() {
            let Some(info) = PodInfo::of(object) else { return };
            let changed = self.queue.get(uid).is_some_and(|waiting| {
                waiting.spec != info.spec || waiting.object.header.labels != object.header.labels
            });
            let nominated = pod.status.as_ref().and_then(|status| status.nominated_node_name.as_deref());
            if let Some(node) = nominated.filter(|node| !node.is_empty()) {
                self.cluster.nominate(&info, node);
            }
            self.queue.put(info, changed);
        } else {
            self.queue.remove(uid);
            self.cluster.withdraw(uid);
        }
    }

    fn remove_pod(&mut self, object: &Object, now: Timestamp) {
        let uid = &object.header.uid;
        self.assumed.remove(uid);
        self.queue.remove(uid);
        let made_room = self.cluster.remove_pod(uid) | self.cluster.withdraw(uid);
        if made_room {
            self.queue.changed(now, |_| true);
        }
    }

    /// Decides about the pod whose turn it is. The decision counts at once; it is for the caller to carry it out and
    /// to tell with [`State::bound`] how a binding ended.
    pub fn next(&mut self, view: &View) -> Option<Decision> {
        let pod = self.queue.take(view.now())?;
        self.turn = self.turn.wrapping_add(1);
        match cycle::choose(&pod, &self.cluster, view, self.turn) {
            Choice::Node(node) => {
                self.cluster.put_pod(&pod, &node);
                self.cluster.withdraw(pod.uid());
                self.assumed.insert(Arc::clone(pod.uid()));
                Some(Decision::Bind { pod, node })
            }
            Choice::Nowhere { message, preemption } => {
                if let Some(preemption) = &preemption {
                    self.cluster.nominate(&pod, &preemption.node);
                }
                self.queue.unschedulable(pod.uid());
                Some(Decision::Wait { pod, message, preemption })
            }
        }
    }

    /// A binding ended; one that failed gives its room back.
    pub fn bound(&mut self, pod: &PodInfo, committed: bool) {
        if !committed && self.assumed.remove(pod.uid()) {
            self.cluster.remove_pod(pod.uid());
            self.queue.retry(pod.uid());
        }
    }

    /// Whether there is a pod to decide about now.
    pub fn is_ready(&self) -> bool {
        self.queue.is_ready()
    }

    /// When to decide again, if nothing changes before.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        self.queue.wakes_at()
    }
}

/// Whether a pod waits for this scheduler.
fn waits(pod: &Pod) -> bool {
    let Some(spec) = pods::spec(pod) else { return false };
    let ours = spec.scheduler_name.as_deref().is_none_or(|name| name.is_empty() || name == NAME);
    ours && spec.scheduling_gates.as_ref().is_none_or(Vec::is_empty)
}
