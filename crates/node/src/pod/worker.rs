//! The one task that looks after one pod.
//!
//! It collects facts, decides, and starts what was decided as tasks of its own, so it never waits for a
//! slow image or a stubborn container. Containers start one after another (a lane), because Kubernetes
//! promises their order; kills, clean-up and reports run beside it, each at most once at a time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodSpec, PodStatus};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::event::{About, Level};
use crate::labels::PodRef;
use crate::node::{Node, PodView};
use crate::pod::decide::{Action, Decision, Facts, decide};
use crate::pod::inbox::{Inbox, News};
use crate::pod::members;
use crate::pod::memory::{Failure, Memory, Trouble, Verdict, Volumes as VolumeState};
use crate::pod::observe::observe;
use crate::pod::observed::{Observed, State};
use crate::pod::report::{Reported, report};
use crate::pod::start::{self, NotStarted};
use crate::pod::status::{self, containers::back_off_message};
use crate::pod::tear_down::{self, TearDownError};
use crate::pod::{kill, memory, resources};
use crate::probe::{Prober, remember};
use crate::volume::Volumes;

/// What could not be done is tried again after this, in seconds; doubled each time up to the second.
const RETRY: (u32, u32) = (1, 30);
/// CRI learns of an end at the same time as we do, and may still say «running»: asked again after this,
/// doubled each time, as often as the second number says.
const END_SHOWS: (SignedDuration, u32) = (SignedDuration::from_millis(10), 8);
/// A container that could not be created is tried again after this.
const RETRY_CREATE: SignedDuration = SignedDuration::from_secs(10);
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
                    Volumes { node: &task.node, id: &task.id, pod: &task.pod, spec }.refresh().await;
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

    /// Begins actions, as far as nothing of their kind is under way.
    fn begin(&mut self, actions: Vec<Action>) {
        let mut cleaning = Vec::new();
        for action in actions {
            match action {
                Action::Mount | Action::RunSandbox { .. } | Action::Start { .. } => self.begin_in_lane(action),
                Action::Kill { id, grace, message, .. } => self.begin_kill(id, grace, message),
                Action::Resize { name } => self.begin_resize(name),
                Action::Fail { reason, message } => {
                    self.node.events.record(&About::pod(&self.id), Level::Normal, &reason, &message);
                    self.memory.verdict = Some(Verdict { reason, message, grace: None });
                    self.inbox.tell(|_| {});
                }
                other => cleaning.push(other),
            }
        }
        // The lane may still be making what would be removed.
        if !cleaning.is_empty() && !self.cleaning && self.lane.is_none() {
            self.cleaning = true;
            let (task, gone) = (self.task(), self.memory.gone);
            self.work.spawn(async move {
                let result = tear_down::run(&task, &cleaning, gone).await;
                Done::Cleaned { result, actions: cleaning }
            });
        }
    }

    fn begin_in_lane(&mut self, action: Action) {
        let Some(spec) = self.pod.spec.clone().filter(|_| self.lane.is_none() && !self.cleaning) else { return };
        let stop = CancellationToken::new();
        self.lane = Some(stop.clone());
        let task = self.task();
        match action {
            Action::Mount => {
                self.work.spawn(async move {
                    let volumes = Volumes { node: &task.node, id: &task.id, pod: &task.pod, spec: &spec };
                    Done::Mounted(volumes.mount().await.map_err(|err| err.to_string()))
                });
            }
            Action::RunSandbox { attempt } => {
                if attempt > 0 && self.seen.sandbox().is_some_and(|sandbox| !sandbox.ready) {
                    let message = "Pod sandbox changed, it will be killed and re-created.";
                    self.node.events.record(&About::pod(&self.id), Level::Normal, "SandboxChanged", message);
                }
                self.work.spawn(async move { Done::Sandbox(start::run_sandbox(&task, &spec, attempt).await) });
            }
            Action::Start { name, attempt } => {
                let memory = self.memory.containers.entry(name.clone()).or_default();
                if let Some(ended) = self.seen.current(&name).filter(|seen| seen.state == State::Exited) {
                    memory.crash.tried(ended.finished.unwrap_or(ended.created), Timestamp::now());
                }
                self.work.spawn(async move {
                    let result = start::start(&task, &spec, &name, attempt, &stop).await;
                    Done::Started { name, result }
                });
            }
            _ => self.lane = None,
        }
    }

    /// Stops a container, unless it is being stopped at least as soon.
    fn begin_kill(&mut self, id: String, grace: i64, message: String) {
        let deadline = Timestamp::now() + SignedDuration::from_secs(grace.clamp(0, i64::from(u32::MAX)));
        // A second of tolerance: the same grace decided again is the same kill.
        let sooner = |under_way: &Timestamp| deadline + SignedDuration::from_secs(1) < *under_way;
        if self.memory.killing.get(&id).is_some_and(|under_way| !sooner(under_way)) {
            return;
        }
        self.memory.killing.insert(id.clone(), deadline);
        let task = self.task();
        self.work.spawn(async move {
            let result = kill::kill(&task, &id, grace, &message).await;
            Done::Killed { id, result }
        });
    }

    /// Changes a container's limits, once for each new limit.
    fn begin_resize(&mut self, name: String) {
        let Some(spec) = self.pod.spec.clone() else { return };
        let Some(member) = members::find(&spec, &name) else { return };
        let memory = self.memory.containers.entry(name.clone()).or_default();
        memory.resized = Some(resources::of_container(&member.container));
        let task = self.task();
        self.work.spawn(async move {
            start::resize(&task, &spec, &name).await;
            Done::Resized
        });
    }

    /// Notes how a piece of work ended; whether to look at the runtime.
    fn settle(&mut self, done: Result<Done, tokio::task::JoinError>) -> bool {
        let done = match done {
            Ok(done) => done,
            Err(err) => {
                // A bug, contained: whatever it was is decided anew.
                tracing::error!(pod = %self.id, error = %err, "work for a pod panicked");
                (self.lane, self.cleaning, self.reporting, self.refreshing) = (None, false, false, false);
                return true;
            }
        };
        let now = Timestamp::now();
        match done {
            Done::Mounted(result) => {
                self.lane = None;
                self.memory.volumes = match result {
                    Ok(()) => VolumeState::Mounted,
                    Err(message) => {
                        self.node.events.record(&About::pod(&self.id), Level::Warning, "FailedMount", &message);
                        VolumeState::Failed(self.failure(message, now))
                    }
                };
                return false;
            }
            Done::Sandbox(result) => {
                self.lane = None;
                self.memory.sandbox_failure = result.err().map(|message| self.failure(message, now));
            }
            Done::Started { name, result } => self.settle_start(&name, result, now),
            Done::Killed { id, result } => {
                self.memory.killing.remove(&id);
                if let Err(err) = result {
                    warn!(pod = %self.id, error = %err, "container not stopped");
                    self.look_after = Some(now + SignedDuration::from_secs(1));
                    return false;
                }
            }
            Done::Cleaned { result, actions } => {
                self.cleaning = false;
                self.memory.cleanup_after = None;
                match result {
                    Ok(()) => {
                        self.finished = actions.contains(&Action::Finish);
                        if actions.contains(&Action::Unmount) {
                            self.memory.volumes = VolumeState::Unmounted;
                        }
                    }
                    Err(err) => {
                        let failure = self.failure(err.to_string(), now);
                        debug!(pod = %self.id, error = failure.message, "clean-up not done");
                        self.memory.cleanup_after = Some(failure.retry_at);
                    }
                }
            }
            Done::Resized => {}
            Done::Refreshed => self.refreshing = false,
            Done::Reported(reported) => {
                self.reporting = false;
                self.settle_report(reported, now);
                return false;
            }
        }
        true
    }

    fn settle_start(&mut self, name: &str, result: Result<(), NotStarted>, now: Timestamp) {
        self.lane = None;
        let memory = self.memory.containers.entry(name.to_owned()).or_default();
        match result {
            Ok(()) => {
                self.n_failures = 0;
                memory.trouble = None;
            }
            Err(NotStarted::GivenUp) => {}
            Err(NotStarted::Failed { reason, message }) => {
                let retry_at = match reason {
                    "ErrImagePull" => {
                        memory.pull.tried(now, now);
                        now + memory.pull.delay()
                    }
                    // The runtime has the container as ended: the delay between restarts counts.
                    "RunContainerError" | "PostStartHookError" => now,
                    _ => now + RETRY_CREATE,
                };
                memory.trouble = Some(Trouble { reason: reason.to_owned(), message, at: now, retry_at });
            }
        }
    }

    fn settle_report(&mut self, reported: Reported, now: Timestamp) {
        match reported {
            Reported::Told(status) => {
                self.report_after = None;
                self.reported = *status;
            }
            // The watch will say so too.
            Reported::Gone => self.report_after = Some(now + SignedDuration::from_secs(10)),
            Reported::Failed(problem) => {
                debug!(pod = %self.id, error = problem, "status not reported");
                self.report_after = Some(now + SignedDuration::from_secs(1));
            }
        }
    }

    /// Something failed once more.
    fn failure(&mut self, message: String, now: Timestamp) -> Failure {
        let (first, most) = RETRY;
        let delay = first.saturating_mul(1 << self.n_failures.min(8)).min(most);
        self.n_failures += 1;
        Failure { message, retry_at: now + SignedDuration::from_secs(i64::from(delay)) }
    }

    /// Shows the state to the rest of the node and to the API server.
    fn tell_status(&mut self, status: PodStatus) {
        let due = self.report_after.is_none_or(|at| at <= Timestamp::now());
        if !self.memory.gone && !self.reporting && due && self.reported != status {
            self.reporting = true;
            let (task, old, new) = (self.task(), self.reported.clone(), status.clone());
            self.work.spawn(async move { Done::Reported(report(&task, &old, new).await) });
        }
        self.node.publish(PodView {
            id: self.id.clone(),
            pod: (!self.memory.gone).then(|| self.pod.clone()),
            seen: self.seen.clone(),
            status: Arc::new(status),
        });
    }

    /// A failed pull is shown as itself first, and then as waiting for the next one.
    fn show_pull_back_off(&mut self, now: Timestamp) {
        let Some(spec) = &self.pod.spec else { return };
        for (name, memory) in &mut self.memory.containers {
            let Some(trouble) = memory.trouble.as_mut() else { continue };
            if trouble.reason != "ErrImagePull" || trouble.at + PULL_ERROR_SHOWN > now {
                continue;
            }
            let Some(member) = members::find(spec, name) else { continue };
            let image = member.container.image.as_deref().unwrap_or_default();
            trouble.message = format!("Back-off pulling image \"{image}\": ErrImagePull: {}", trouble.message);
            trouble.reason = "ImagePullBackOff".to_owned();
            let about = About::container(&self.id, &member.field_path());
            self.node.events.record(&about, Level::Normal, "BackOff", &format!("Back-off pulling image \"{image}\""));
            self.node.events.record(&about, Level::Warning, "Failed", "Error: ImagePullBackOff");
        }
    }

    /// Records that a container waits before its next start, once for each wait.
    fn tell_back_off(&mut self, name: &str, delay: SignedDuration) {
        let reason = "CrashLoopBackOff";
        let message = back_off_message(delay, name, &self.id);
        let Some(spec) = &self.pod.spec else { return };
        let statuses = [&self.reported.container_statuses, &self.reported.init_container_statuses];
        let told = statuses.into_iter().flatten().flatten().any(|status| {
            let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
            status.name == name
                && waiting.is_some_and(|waiting| {
                    waiting.reason.as_deref() == Some(reason) && waiting.message.as_deref() == Some(&message)
                })
        });
        if !told && !self.reporting {
            let about = members::find(spec, name).map(|member| About::container(&self.id, &member.field_path()));
            let text = format!("Back-off restarting failed container {name} in pod {}", self.id);
            self.node.events.record(&about.unwrap_or_else(|| About::pod(&self.id)), Level::Warning, "BackOff", &text);
        }
    }
}
