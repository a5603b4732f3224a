//! The loop that runs every planner: one follower of the log wakes keys, one driver per planner looks at them.
//!
//! Invariants: a key is looked at by one task at a time; a plan sees the effect of the plan before it, because a
//! commit is answered after the view that shows it is published; after an error a key waits, longer each time.
//! Deliberately absent: expectations and caches. A view is one revision of everything.

pub mod execute;
mod queue;
mod refusal;

pub(crate) use refusal::reference;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::{Blocked, Change, EventType, Key, Plan, View};
use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::door::{Door, Follow};
use crate::planner::Planner;
use execute::Outcome;
use queue::Queue;

/// How many keys of one planner are looked at together.
const WORKERS: usize = 8;
/// Times that a key is planned again at once after conflicts; then it waits as after any error.
const RETRIES: usize = 3;

/// A planner with what it needs to run.
struct Driven<D> {
    planner: Arc<dyn Planner>,
    queue: Queue,
    door: D,
    /// What blocked each key when it was told last.
    blocked: Mutex<HashMap<Key, Blocked>>,
}

/// Runs `planners` until `stop`.
pub async fn run<D: Door>(door: D, planners: Vec<Arc<dyn Planner>>, stop: CancellationToken) {
    let mut follow = door.follow();
    let driven: Vec<Arc<Driven<D>>> = planners
        .into_iter()
        .map(|planner| {
            let driven = Driven { planner, queue: Queue::default(), door: door.clone(), blocked: Mutex::default() };
            Arc::new(driven)
        })
        .collect();
    let view = door.view();
    driven.iter().for_each(|one| one.queue.wake(one.planner.all(&view)));
    drop(view);
    let mut tasks = JoinSet::new();
    for one in &driven {
        tasks.spawn(Arc::clone(one).drive(stop.clone()));
    }
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            entries = follow.next() => match entries {
                Some(entries) => {
                    let Some(last) = entries.last() else { continue };
                    let view = door.view_from(last.revision).await;
                    for one in &driven {
                        let keys = entries.iter().flat_map(|entry| one.planner.woken(entry, &view));
                        one.queue.wake(keys);
                    }
                }
                None => {
                    tracing::warn!("controllers were too slow to follow the log; looking at everything again");
                    let view = door.view();
                    driven.iter().for_each(|one| one.queue.wake(one.planner.all(&view)));
                }
            },
        }
    }
    while tasks.join_next().await.is_some() {}
}

impl<D: Door> Driven<D> {
    /// Looks at keys as they come.
    async fn drive(self: Arc<Self>, stop: CancellationToken) {
        let mut busy: JoinSet<()> = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                key = self.queue.next(), if busy.len() < WORKERS => {
                    busy.spawn(Arc::clone(&self).look(key));
                }
                Some(_) = busy.join_next(), if !busy.is_empty() => {}
            }
        }
        // Commits under way are finished: what was decided is not left half done without need.
        while busy.join_next().await.is_some() {}
    }

    async fn look(self: Arc<Self>, key: Key) {
        for _ in 0..RETRIES {
            let view = self.door.view();
            let Some(decided) = self.decide(&key, &view) else {
                let wait = self.queue.failed(&key);
                tracing::error!(controller = self.planner.name(), ?key, ?wait, "a plan panicked; this is a bug");
                return;
            };
            let mut plan = decided;
            let wake_at = plan.wake_at.take();
            match execute::execute(&self.door, &self.planner.user(&key), plan).await {
                Outcome::Done => {
                    self.queue.done(&key, wake_at.map(|at| wait_until(at, view.now())));
                    return;
                }
                Outcome::Conflict(status) => {
                    tracing::debug!(controller = self.planner.name(), ?key, error = %status, "planning again");
                }
                Outcome::Refused(change, status) => {
                    let view = self.door.view();
                    let told = refusal::record(&key, &change, &status, &view);
                    execute::execute(&self.door, &self.planner.user(&key), told).await;
                    let wait = self.queue.failed(&key);
                    tracing::info!(controller = self.planner.name(), ?key, error = %status, ?wait, "refused");
                    return;
                }
            }
        }
        self.queue.failed(&key);
    }

    /// Plans; `None` when the plan panicked.
    fn decide(&self, key: &Key, view: &View) -> Option<Plan> {
        let mut plan = Plan::default();
        let result = catch_unwind(AssertUnwindSafe(|| self.planner.plan(key, view, &mut plan))).ok()?;
        let mut told = self.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => {
                told.remove(key);
            }
            Err(blocked) => {
                if told.get(key) != Some(&blocked) {
                    tell(key, view, &blocked, &mut plan);
                    told.insert(key.clone(), blocked);
                }
            }
        }
        Some(plan)
    }
}

/// Tells people what blocks an object.
fn tell(key: &Key, view: &View, blocked: &Blocked, plan: &mut Plan) {
    let Some(object) = view.object(key) else { return };
    let event = Change::Event {
        about: refusal::reference(&object.value()),
        kind: EventType::Warning,
        reason: blocked.reason.clone(),
        message: blocked.message.clone(),
    };
    plan.push(event, "the plan is blocked");
}

fn wait_until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)
}
