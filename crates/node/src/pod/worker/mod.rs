//! The one task that looks after one pod.
//!
//! It collects facts, decides, and starts what was decided as tasks of its own, so it never waits for a
//! slow image or a stubborn container. Containers start one after another (a lane), because Kubernetes
//! promises their order; kills, clean-up and reports run beside it, each at most once at a time.

mod begin;
mod settle;
mod tell;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::event::{About, Level};
use crate::labels::PodRef;
use crate::node::{Node, PodView};
use crate::objects::Age;
use crate::pod::decide::{Action, Decision, Facts, decide};
use crate::pod::inbox::{Inbox, News};
use crate::pod::members;
use crate::pod::memory::{self, Memory, Verdict, Volumes as VolumeState};
use crate::pod::observe::observe;
use crate::pod::observed::Observed;
use crate::pod::report::Reported;
use crate::pod::start::NotStarted;
use crate::pod::status;
use crate::pod::tear_down::TearDownError;
use crate::probe::{Prober, remember};
use crate::volume::Volumes;

/// CRI learns of an end at the same time as we do, and may still say «running»: asked again after this,
/// doubled each time, as often as the second number says.
const END_SHOWS: (SignedDuration, u32) = (SignedDuration::from_millis(10), 8);
/// For so long a failed pull is shown with its own error, before it becomes `ImagePullBackOff`.
const PULL_ERROR_SHOWN: SignedDuration = SignedDuration::from_secs(3);

/// What a piece of work for a pod needs: the state at the time when it was decided.
#[derive(Clone)]
pub(crate) struct Task {
    pub node: Arc<Node>,
    pub id: PodRef,
    pub pod: Arc<Pod>,
    pub seen: Arc<Observed>,
    pub inbox: Arc<Inbox>,
}

impl Task {
    /// What events about a container refer to.
    pub(crate) fn about(&self, spec: &PodSpec, container: &str) -> About {
        match members::find(spec, container) {
            Some(member) => About::container(&self.id, &member.field_path()),
            None => About::pod(&self.id),
        }
    }

    /// The pod's addresses.
    pub(crate) fn ips(&self, spec: &PodSpec) -> Vec<String> {
        if spec.host_network.unwrap_or(false) {
            return vec![self.node.config.node_ip.to_string()];
        }
        self.seen.sandbox().map(|sandbox| sandbox.ips.clone()).unwrap_or_default()
    }
}

/// A piece of work has ended.
enum Done {
    Mounted(Result<(), String>),
    Sandbox(Result<(), String>),
    Started { name: String, result: Result<(), NotStarted> },
    Killed { id: String, result: Result<(), cri::Error> },
    Cleaned { result: Result<(), TearDownError>, actions: Vec<Action> },
    Resized,
    Refreshed,
    Reported(Reported),
}

/// Looks after one pod.
pub(crate) struct Worker {
    node: Arc<Node>,
    id: PodRef,
    inbox: Arc<Inbox>,
    pod: Arc<Pod>,
    seen: Arc<Observed>,
    memory: Memory,
    /// What the API server has, as far as we know.
    reported: PodStatus,
    work: JoinSet<Done>,
    prober: Prober,
    /// Ends what the lane does, when the pod is to stop.
    lane: Option<CancellationToken>,
    cleaning: bool,
    reporting: bool,
    refreshing: bool,
    report_after: Option<Timestamp>,
    look_after: Option<Timestamp>,
    /// What has ended without CRI saying so yet.
    ended: BTreeSet<String>,
    n_looks: u32,
    n_failures: u32,
    finished: bool,
}

impl Worker {
    /// A worker for a pod of the API server, or for what the runtime has of one that is gone.
    pub(crate) fn new(node: Arc<Node>, pod: Arc<Pod>, gone: bool) -> Self {
        let id = PodRef::of(&pod);
        let inbox = Arc::new(Inbox::default());
        let reported = pod.status.clone().unwrap_or_default();
        let view = PodView {
            id: id.clone(),
            pod: (!gone).then(|| pod.clone()),
            seen: Arc::default(),
            status: Arc::new(reported.clone()),
        };
        node.add(view, inbox.clone());
        Self {
            node,
            id,
            inbox,
            pod,
            seen: Arc::default(),
            memory: Memory { gone, ..Memory::default() },
            reported,
            work: JoinSet::new(),
            prober: Prober::default(),
            lane: None,
            cleaning: false,
            reporting: false,
            refreshing: false,
            report_after: None,
            look_after: None,
            ended: BTreeSet::new(),
            n_looks: 0,
            n_failures: 0,
            finished: false,
        }
    }

    /// Ends the pod before anything of it was started.
    pub(crate) fn refuse(&mut self, verdict: Verdict) {
        let about = About::pod(&self.id);
        self.node.events.record(&about, Level::Warning, &verdict.reason, &verdict.message);
        self.memory.verdict = Some(verdict);
    }

    /// Works until nothing is left of the pod, or until `stop`; containers live on in the latter case.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut look = true;
        loop {
            if look {
                self.look().await;
            }
            let wake_at = self.step();
            if self.finished {
                break;
            }
            let wait = wake_at.map(|at| at.duration_since(Timestamp::now()));
            let wait = wait.map(|wait| Duration::try_from(wait).unwrap_or_default() + Duration::from_millis(1));
            look = tokio::select! {
                () = self.inbox.wait() => self.hear(),
                Some(done) = self.work.join_next() => self.settle(done),
                () = async { tokio::time::sleep(wait.unwrap_or_default()).await }, if wait.is_some() => {
                    self.look_after.is_some_and(|at| at <= Timestamp::now())
                }
                () = stop.cancelled() => return,
            };
            // Whatever else has happened meanwhile: one look is enough for all of it.
            look |= self.hear();
            while let Some(done) = self.work.try_join_next() {
                look |= self.settle(done);
            }
        }
        self.node.forget(&self.id.uid);
    }

    fn facts(&self) -> Facts<'_> {
        Facts { pod: &self.pod, seen: &self.seen, memory: &self.memory, now: Timestamp::now() }
    }

    fn task(&self) -> Task {
        Task {
            node: self.node.clone(),
            id: self.id.clone(),
            pod: self.pod.clone(),
            seen: self.seen.clone(),
            inbox: self.inbox.clone(),
        }
    }

    /// Takes the news; whether to look at the runtime.
    fn hear(&mut self) -> bool {
        let News { pod, gone, mut look, ended, refresh, probes, verdict } = self.inbox.take();
        if !ended.is_empty() {
            self.ended.extend(ended);
            self.n_looks = 0;
            look = true;
        }
        if let Some(pod) = pod {
            // What others wrote to the status is not ours to undo.
            self.reported = pod.status.clone().unwrap_or_default();
            self.pod = pod;
        }
        self.memory.gone |= gone;
        if let Some(verdict) = verdict {
            self.memory.verdict.get_or_insert(verdict);
        }
        for ((id, kind), result) in probes {
            if let Some(seen) = self.seen.containers.iter().find(|container| container.id == id) {
                remember(&mut self.memory, &seen.name, &id, kind, result);
            }
        }
        if refresh && !self.refreshing && self.memory.volumes == VolumeState::Mounted && self.pod.spec.is_some() {
            self.refreshing = true;
            let task = self.task();
            self.work.spawn(async move {
                if let Some(spec) = &task.pod.spec {
                    Volumes { node: &task.node, id: &task.id, pod: &task.pod, spec, age: Age::Recent }.refresh().await;
                }
                Done::Refreshed
            });
        }
        look
    }

    /// Looks at the runtime; when it does not answer, again soon.
    async fn look(&mut self) {
        self.look_after = None;
        match observe(&self.node.runtime, &self.id.uid, &self.seen).await {
            Ok(seen) => {
                self.seen = Arc::new(seen);
                self.recall_readiness();
                self.look_again_for_ends();
            }
            Err(err) => {
                debug!(pod = %self.id, error = %err, "runtime does not answer");
                self.look_after = Some(Timestamp::now() + SignedDuration::from_secs(1));
            }
        }
    }

    /// Looks again soon when CRI does not show an end that has happened.
    fn look_again_for_ends(&mut self) {
        let seen = &self.seen;
        self.ended.retain(|id| {
            seen.alive().any(|container| container.id == *id)
                || seen.sandboxes.iter().any(|sandbox| sandbox.id == *id && sandbox.ready)
        });
        let (first, most) = END_SHOWS;
        if !self.ended.is_empty() && self.n_looks < most {
            self.look_after = Some(Timestamp::now() + first * (1 << self.n_looks));
            self.n_looks += 1;
        }
    }

    /// A container that the API server knows as ready is so until its probes say otherwise: the restart
    /// of a node must not take pods out of services.
    fn recall_readiness(&mut self) {
        let statuses = [&self.reported.container_statuses, &self.reported.init_container_statuses];
        for status in statuses.into_iter().flatten().flatten() {
            let memory = self.memory.containers.entry(status.name.clone()).or_default();
            let id = status.container_id.as_deref().and_then(|id| id.strip_prefix("containerd://"));
            if let Some(id) = id.filter(|_| memory.probes.id.is_empty()) {
                memory.probes = memory::Probes {
                    id: id.to_owned(),
                    started: status.started.unwrap_or(false),
                    ready: status.ready,
                    ..memory::Probes::default()
                };
            }
        }
    }

    /// Decides and begins what was decided; when to look again.
    fn step(&mut self) -> Option<Timestamp> {
        let now = Timestamp::now();
        if self.facts().stopping() {
            self.memory.stopping_since.get_or_insert(now);
            if let Some(lane) = &self.lane {
                lane.cancel();
            }
        }
        self.show_pull_back_off(now);
        let status = status::generate(&self.facts(), self.node.config.node_ip);
        self.memory.final_reported = self.facts().stopping()
            && self.seen.quiet()
            && self.lane.is_none()
            && (self.reported == status || self.facts().ended());
        let Decision { actions, mut wake_at, backing_off } = decide(&self.facts());
        for (name, delay) in backing_off {
            self.tell_back_off(&name, delay);
        }
        self.begin(actions);
        let task = self.task();
        let facts = Facts { pod: &task.pod, seen: &task.seen, memory: &self.memory, now };
        self.prober.sync(&self.node, &self.inbox, &facts);
        self.tell_status(status);
        let shown_until = self.memory.containers.values().filter_map(|memory| memory.trouble.as_ref());
        let shown_until = shown_until.filter(|trouble| trouble.reason == "ErrImagePull");
        let flips = shown_until.map(|trouble| trouble.at + PULL_ERROR_SHOWN);
        for at in flips.chain(self.look_after).chain(self.report_after) {
            wake_at = Some(wake_at.map_or(at, |earlier: Timestamp| earlier.min(at)));
        }
        wake_at
    }
}
