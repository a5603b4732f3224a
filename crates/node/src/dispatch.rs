//! Gives every pod of this node a worker, and tells workers what happens to their pods.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use cri::v1::{ContainerFilter, PodSandboxFilter};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher::watcher};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::cgroup;
use crate::labels::PodRef;
use crate::node::Node;
use crate::patience::Patience;
use crate::pod::admit;
use crate::pod::memory::Verdict;
use crate::pod::worker::Worker;
use crate::volume;

/// How often the runtime is compared with what workers know, in case an event was missed.
const RELIST: Duration = Duration::from_secs(60);

/// Runs the pods of this node until `stop`.
pub(crate) async fn run(node: Arc<Node>, stop: CancellationToken) {
    let pods: Api<Pod> = Api::all(node.client.clone());
    let mine = watcher::Config::default().fields(&format!("spec.nodeName={}", node.config.node_name));
    let mut events = watcher(pods, mine).backoff(Patience::default()).boxed();
    let mut relist = tokio::time::interval_at(tokio::time::Instant::now() + RELIST, RELIST);
    let mut pods = Pods { node, stop: stop.clone(), workers: JoinSet::new(), listed: BTreeSet::new(), synced: false };
    // Containers get variables of services: without them a pod would start wrongly.
    let mut services = pods.node.services.clone();
    tokio::select! {
        _ = services.wait_for(Option::is_some) => {}
        () = stop.cancelled() => return,
    }
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => pods.hear(event).await,
                Some(Err(err)) => debug!(error = %err, "watch of pods interrupted"),
                None => break,
            },
            _ = relist.tick(), if pods.synced => pods.relist().await,
            Some(ended) = pods.workers.join_next() => {
                if let Err(err) = ended {
                    error!(error = %err, "a pod's worker panicked");
                }
            }
            () = stop.cancelled() => break,
        }
    }
    // They leave their containers running.
    while pods.workers.join_next().await.is_some() {}
}

struct Pods {
    node: Arc<Node>,
    stop: CancellationToken,
    workers: JoinSet<()>,
    /// The uids of a list that is under way.
    listed: BTreeSet<String>,
    /// The first list is complete.
    synced: bool,
}

impl Pods {
    async fn hear(&mut self, event: Event<Pod>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(pod) => {
                self.listed.extend(pod.metadata.uid.clone());
                self.apply(pod);
            }
            Event::InitDone => {
                for view in self.node.pods() {
                    if !self.listed.contains(&view.id.uid) {
                        self.gone(&view.id.uid);
                    }
                }
                if !self.synced {
                    info!(n_pods = self.listed.len(), "pods listed");
                }
                self.synced = true;
                self.relist().await;
            }
            Event::Apply(pod) => self.apply(pod),
            Event::Delete(pod) => self.gone(pod.metadata.uid.as_deref().unwrap_or_default()),
        }
    }

    fn apply(&mut self, pod: Pod) {
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        match self.node.inbox(&uid) {
            Some(inbox) => inbox.tell(|news| news.pod = Some(Arc::new(pod))),
            None => self.employ(pod, false),
        }
    }

    fn gone(&self, uid: &str) {
        if let Some(inbox) = self.node.inbox(uid) {
            inbox.tell(|news| news.gone = true);
        }
    }

    fn employ(&mut self, pod: Pod, gone: bool) {
        let refused = if gone { None } else { self.refusal(&pod) };
        let mut worker = Worker::new(self.node.clone(), Arc::new(pod), gone);
        if let Some(verdict) = refused {
            worker.refuse(verdict);
        }
        self.workers.spawn(worker.run(self.stop.clone()));
    }

    /// Why the node does not take a pod. One that has been started here was taken before.
    fn refusal(&self, pod: &Pod) -> Option<Verdict> {
        let known = pod.status.as_ref().is_some_and(|status| status.start_time.is_some());
        let spec = pod.spec.as_ref().filter(|_| !known && pod.metadata.deletion_timestamp.is_none())?;
        let views = self.node.pods();
        let others = admit::taking_room(views.iter().filter_map(|view| view.pod.as_deref()));
        admit::admit(spec, &others, &self.node.machine.room()).err()
    }

    /// Compares the runtime and the node's files with the pods that there are.
    async fn relist(&mut self) {
        let states = match self.states().await {
            Ok(states) => states,
            Err(err) => return warn!(error = %err, "the runtime did not list its pods"),
        };
        for (id, states) in states {
            match self.node.pod_by_uid(&id.uid) {
                Some(view) => {
                    let known = |(id, running): (&String, &bool)| {
                        view.seen.containers.iter().any(|known| known.id == *id && known.alive() == *running)
                            || view.seen.sandboxes.iter().any(|known| known.id == *id && known.ready == *running)
                    };
                    if !states.iter().all(known)
                        && let Some(inbox) = self.node.inbox(&id.uid)
                    {
                        inbox.tell(|news| news.look = true);
                    }
                }
                None => {
                    info!(pod = %id, "removing a pod that the API server does not have");
                    self.employ(orphan(&id), true);
                }
            }
        }
        self.remove_leftovers();
    }

    /// What the runtime has, by pod: ids of sandboxes and containers, and whether they run.
    async fn states(&self) -> Result<BTreeMap<PodRef, HashMap<String, bool>>, cri::Error> {
        let runtime = &self.node.runtime;
        let (sandboxes, containers) = tokio::try_join!(
            runtime.list_pod_sandboxes(PodSandboxFilter::default()),
            runtime.list_containers(ContainerFilter::default())
        )?;
        let mut states: BTreeMap<PodRef, HashMap<String, bool>> = BTreeMap::new();
        for sandbox in sandboxes {
            if let Some(id) = PodRef::from_labels(&sandbox.labels) {
                let ready = sandbox.state() == cri::v1::PodSandboxState::SandboxReady;
                states.entry(id).or_default().insert(sandbox.id, ready);
            }
        }
        for container in containers {
            if let Some(id) = PodRef::from_labels(&container.labels) {
                let running = container.state() == cri::v1::ContainerState::ContainerRunning;
                states.entry(id).or_default().insert(container.id, running);
            }
        }
        Ok(states)
    }

    /// Removes files and cgroups of pods that neither the API server nor the runtime have.
    fn remove_leftovers(&self) {
        let config = &self.node.config;
        let unknown = |uid: &str| self.node.pod_by_uid(uid).is_none();
        for entry in std::fs::read_dir(config.state_dir.join("pods")).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(unknown)
                && let Err(err) = volume::remove(&entry.path())
            {
                warn!(path = %entry.path().display(), error = %err, "files of a pod not removed");
            }
        }
        for entry in std::fs::read_dir(&config.log_dir).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let uid = name.to_str().and_then(|name| name.rsplit_once('_')).map(|(_, uid)| uid);
            if uid.is_some_and(unknown)
                && let Err(err) = std::fs::remove_dir_all(entry.path())
            {
                warn!(path = %entry.path().display(), error = %err, "logs of a pod not removed");
            }
        }
        for (uid, path) in cgroup::pods_below(&config.cgroup_parent) {
            if unknown(&uid) {
                cgroup::remove(&path);
            }
        }
    }
}

/// As much of a pod's object as its labels in the runtime tell.
fn orphan(id: &PodRef) -> Pod {
    Pod {
        metadata: ObjectMeta {
            namespace: Some(id.namespace.clone()),
            name: Some(id.name.clone()),
            uid: Some(id.uid.clone()),
            ..ObjectMeta::default()
        },
        ..Pod::default()
    }
}
