//! Starts what was decided as tasks of its own.

use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::event::{About, Level};
use crate::objects::Age;
use crate::pod::decide::Action;
use crate::pod::members;
use crate::pod::memory::Verdict;
use crate::pod::observed::State;
use crate::pod::worker::{Done, Worker};
use crate::pod::{kill, resources, start, tear_down};
use crate::volume::Volumes;

impl Worker {
    /// Begins actions, as far as nothing of their kind is under way.
    pub(super) fn begin(&mut self, actions: Vec<Action>) {
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
                    let volumes =
                        Volumes { node: &task.node, id: &task.id, pod: &task.pod, spec: &spec, age: Age::Fresh };
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
                self.memory.starting = Some(name.clone());
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
}
