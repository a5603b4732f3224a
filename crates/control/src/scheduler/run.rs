//! The loop: takes changes in, decides pod after pod, commits bindings beside that.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use api::{Change, EventType, Key, KindId, LogEntry, LogType, Object, Propagation, Status, Subresource, View};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use kinds::workload::pods;
use serde_json::{Value, json};
use server::User;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::attempt::Attempt;
use super::nodes::{Nodes, Placed, Promise};
use super::preempt;
use super::queue::{Queue, wants_node};
use crate::door::{Door, Follow};

/// Bindings and reports under way at once.
const AT_ONCE: usize = 64;
/// Pods decided before changes are taken in again.
const BATCH: usize = 64;
/// How long a pod may keep room for itself on a node while the pods before it end.
const NO_TIMER: Duration = Duration::from_secs(3600);

/// What a commit that ran beside the loop was about.
struct Bound {
    key: Key,
    result: Result<(), Status>,
}

struct Scheduler<D> {
    door: D,
    user: User,
    pod_kind: KindId,
    node_kind: KindId,
    nodes: Nodes,
    queue: Queue,
    /// What was last told about a pod that found no node.
    told: HashMap<Key, String>,
    commits: JoinSet<Bound>,
}

/// Runs the scheduler until `stop`.
pub async fn run<D: Door>(door: D, stop: CancellationToken) {
    let mut follow = door.follow();
    let view = door.view();
    let mut scheduler = Scheduler::new(door, &view);
    drop(view);
    loop {
        let now = Timestamp::now();
        let (due, next) = scheduler.queue.due(now);
        let view = scheduler.door.view();
        due.iter().filter_map(|key| view.object(key)).for_each(|object| scheduler.queue.add(object));
        let more = scheduler.decide_some(&view);
        drop(view);
        if more {
            // Takes in what has come meanwhile and goes on.
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                entries = follow.next() => scheduler.take_in(entries).await,
                Some(done) = scheduler.commits.join_next(), if !scheduler.commits.is_empty() => scheduler.settle(done),
                () = tokio::task::yield_now() => {}
            }
            continue;
        }
        let wait = next.map_or(NO_TIMER, |next| Duration::try_from(next.duration_since(now)).unwrap_or_default());
        tokio::select! {
            () = stop.cancelled() => break,
            entries = follow.next() => scheduler.take_in(entries).await,
            Some(done) = scheduler.commits.join_next(), if !scheduler.commits.is_empty() => scheduler.settle(done),
            () = tokio::time::sleep(wait) => {}
        }
    }
    // What was decided is finished: a pod is not left without its node for no need.
    while scheduler.commits.join_next().await.is_some() {}
}

impl<D: Door> Scheduler<D> {
    fn new(door: D, view: &View) -> Self {
        let catalogue = view.catalogue();
        let mut scheduler = Self {
            user: User::new("system:kube-scheduler", ["system:authenticated"]),
            pod_kind: catalogue.id_of::<Pod>(),
            node_kind: catalogue.id_of::<Node>(),
            nodes: Nodes::default(),
            queue: Queue::default(),
            told: HashMap::new(),
            commits: JoinSet::new(),
            door,
        };
        scheduler.look_at_everything(view);
        scheduler
    }

    fn look_at_everything(&mut self, view: &View) {
        self.nodes = Nodes::of(view);
        self.queue = Queue::default();
        view.objects(self.pod_kind).filter(|object| wants_node(object)).for_each(|object| self.queue.add(object));
    }

    /// Takes changes in; `None` when some were missed.
    async fn take_in(&mut self, entries: Option<Vec<Arc<LogEntry>>>) {
        let Some(entries) = entries else {
            tracing::warn!("the scheduler was too slow to follow the log; looking at everything again");
            // Places that were only assumed are lost with the state, so what is under way comes first.
            while let Some(done) = self.commits.join_next().await {
                self.settle(done);
            }
            let view = self.door.view();
            self.look_at_everything(&view);
            return;
        };
        let mut hope = false;
        for entry in &entries {
            let key = &entry.object.header.key;
            if key.kind == self.pod_kind {
                hope |= self.take_pod(entry);
            } else if key.kind == self.node_kind {
                if entry.kind == LogType::Deleted {
                    self.nodes.remove_node(&key.name);
                } else {
                    hope |= self.nodes.set_node(&entry.object);
                }
            }
        }
        if hope {
            self.queue.hope();
        }
    }

    /// Takes a pod's change in. Whether it may help pods that wait.
    fn take_pod(&mut self, entry: &LogEntry) -> bool {
        let (key, object) = (&entry.object.header.key, &entry.object);
        if entry.kind == LogType::Deleted {
            self.queue.remove(key);
            self.told.remove(key);
            return self.nodes.remove_pod(key);
        }
        if wants_node(object) {
            let spec = |object: &Object| object.typed::<Pod>().and_then(|pod| pod.spec.clone());
            let changed = entry.previous.as_ref().is_none_or(|previous| spec(previous) != spec(object));
            if changed || !self.queue.is_waiting(key) {
                self.queue.add(object);
            }
            return false;
        }
        self.queue.remove(key);
        self.told.remove(key);
        let placed_now = object.typed::<Pod>().is_some_and(|pod| !pods::node_name(pod).is_empty());
        // A pod that has found its place may be what others want to be near.
        self.nodes.set_pod(object) || placed_now && entry.previous.as_ref().is_some_and(|previous| wants_node(previous))
    }

    /// Decides some of the pods whose turn it is. Whether there are more.
    fn decide_some(&mut self, view: &View) -> bool {
        for _ in 0..BATCH {
            if self.commits.len() >= AT_ONCE {
                return false; // The next commit that ends wakes the loop.
            }
            let Some(key) = self.queue.next() else { return false };
            if self.nodes.has_place(&key) {
                continue; // Its binding is under way.
            }
            let Some(object) = view.object(&key).filter(|object| wants_node(object)) else { continue };
            let Some(placed) = Placed::new(object.clone()) else { continue };
            self.decide(&key, placed, view);
        }
        true
    }

    fn decide(&mut self, key: &Key, placed: Placed, view: &View) {
        let unfit = match Attempt::new(&placed, &self.nodes, view).decide() {
            Ok(node) => return self.bind(key, &node, placed),
            Err(unfit) => unfit,
        };
        let (mut message, mut nominated) = (unfit.message(), None);
        if !unfit.rejections.is_empty() {
            match preempt::find(&placed, &self.nodes, view, &unfit) {
                Ok(found) => {
                    self.evict(&placed, &found);
                    let victims = found.victims.iter().map(|victim| victim.object.clone()).collect();
                    let promise = Promise { node: found.node.clone(), placed: placed.clone(), victims };
                    self.nodes.nominated.insert(key.clone(), promise);
                    nominated = Some(found.node);
                }
                Err(why) => {
                    message.push_str(" preemption: ");
                    message.push_str(&why);
                }
            }
        }
        self.tell(key, &placed.object, message, nominated);
        self.queue.failed(key.clone(), Timestamp::now());
    }

    fn bind(&mut self, key: &Key, node: &str, placed: Placed) {
        let object = placed.object.clone();
        // While its binding is under way it waits for nothing, or it would be decided a second time.
        self.queue.remove(key);
        self.nodes.nominated.remove(key);
        self.nodes.place(node, placed);
        self.told.remove(key);
        let header = &object.header;
        let change = Change::Bind { key: key.clone(), uid: header.uid.to_string(), node: node.to_owned() };
        let message = format!("Successfully assigned {}/{} to {node}", header.key.namespace, header.key.name);
        let event = event(&object, EventType::Normal, "Scheduled", message);
        self.commit(key.clone(), [change, event]);
    }

    /// Commits changes about a pod, each once the one before it is made.
    fn commit<const N: usize>(&mut self, key: Key, changes: [Change; N]) {
        let (door, user) = (self.door.clone(), self.user.clone());
        self.commits.spawn(async move {
            for change in changes {
                let is_event = matches!(change, Change::Event { .. });
                match door.commit(&user, change).await {
                    Ok(_) => {}
                    Err(error) if is_event => tracing::debug!(%error, "an event of the scheduler was refused"),
                    Err(error) => return Bound { key, result: Err(error) },
                }
            }
            Bound { key, result: Ok(()) }
        });
    }

    /// A commit has ended: a binding that failed gives its room back, and the pod is tried again.
    fn settle(&mut self, done: Result<Bound, tokio::task::JoinError>) {
        let Ok(Bound { key, result }) = done else {
            tracing::error!("a commit of the scheduler ended in a panic; this is a bug");
            return;
        };
        let Err(error) = result else { return };
        tracing::debug!(?key, %error, "the scheduler's change was refused");
        self.nodes.spare(&key);
        let view = self.door.view();
        if let Some(object) = view.object(&key)
            && wants_node(object)
        {
            self.nodes.remove_pod(&key);
            self.queue.failed(key.clone(), Timestamp::now());
            self.queue.hope();
        }
    }

    /// Tells why a pod has no node: as its condition and as an event, once for each new reason.
    fn tell(&mut self, key: &Key, object: &Arc<Object>, message: String, nominated: Option<String>) {
        if nominated.is_none() && self.told.get(key) == Some(&message) {
            return;
        }
        let condition = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
            "lastProbeTime": null, "lastTransitionTime": time(Timestamp::now()),
        });
        let mut status = json!({"conditions": with_condition(object, condition)});
        if let Some(node) = nominated {
            status["nominatedNodeName"] = json!(node);
        }
        let change = Change::Patch {
            key: key.clone(),
            uid: object.header.uid.to_string(),
            part: Subresource::Status,
            patch: json!({"status": status}),
        };
        let event = event(object, EventType::Warning, "FailedScheduling", message.clone());
        self.told.insert(key.clone(), message);
        self.commit(key.clone(), [change, event]);
    }

    /// Deletes the pods that have to make room, each with a word to it.
    fn evict(&mut self, placed: &Placed, preemption: &preempt::Preemption) {
        let by = &placed.object.header;
        for victim in preemption.victims.iter().filter(|victim| victim.object.header.deleting.is_none()) {
            let header = &victim.object.header;
            let (key, uid) = (header.key.clone(), header.uid.to_string());
            let condition = json!({
                "type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler",
                "message": "default-scheduler: preempting to accommodate a higher priority pod",
                "lastProbeTime": null, "lastTransitionTime": time(Timestamp::now()),
            });
            let mark = Change::Patch {
                key: key.clone(),
                uid: uid.clone(),
                part: Subresource::Status,
                patch: json!({"status": {"conditions": with_condition(&victim.object, condition)}}),
            };
            let delete = Change::Delete { key: key.clone(), uid, propagation: Propagation::Background, grace: None };
            let message = format!("Preempted by pod {} on node {}", by.uid, preemption.node);
            let event = event(&victim.object, EventType::Normal, "Preempted", message);
            self.commit(key, [mark, delete, event]);
        }
    }
}

/// A time as `metav1.Time` is written.
fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// An event about a pod.
fn event(object: &Object, kind: EventType, reason: &str, message: String) -> Change {
    let header = &object.header;
    let about = json!({
        "apiVersion": "v1", "kind": "Pod", "namespace": &*header.key.namespace, "name": &*header.key.name,
        "uid": &*header.uid, "resourceVersion": header.revision.to_string(),
    });
    Change::Event { about, kind, reason: reason.to_owned(), message }
}

/// A pod's conditions with one of them replaced.
fn with_condition(object: &Object, condition: Value) -> Vec<Value> {
    let value = object.value();
    let others = value["status"]["conditions"].as_array().into_iter().flatten();
    let mut conditions: Vec<Value> = others.filter(|one| one["type"] != condition["type"]).cloned().collect();
    conditions.push(condition);
    conditions
}
