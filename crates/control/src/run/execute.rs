//! Carrying a plan out: changes in order, those of one sort side by side.
//!
//! Changes that follow one another and do the same thing to different objects (50 pods to create) are made
//! together, starting with one and doubling, so that a refusal that meets them all is met once and not 50 times.
//! Events go with the change before them and are told only when it was made. The first conflict ends the plan.

use std::mem;

use api::{Change, Plan, Reason, Status};
use server::User;
use tokio::task::JoinSet;

use crate::door::Door;

/// Most changes under way at a time for one plan.
const PARALLEL_MAX: usize = 64;

/// How a plan ended.
#[derive(Debug)]
pub enum Outcome {
    /// Every change was made.
    Done,
    /// Something is not as the view showed it: plan again.
    Conflict(Status),
    /// A change was refused.
    Refused(Box<Change>, Status),
}

/// A change and the events to tell once it is made.
struct Step {
    change: Option<Change>,
    events: Vec<Change>,
}

/// Makes the changes of `plan` as `user`.
pub async fn execute<D: Door>(door: &D, user: &User, plan: Plan) -> Outcome {
    let mut steps = steps(plan).into_iter().peekable();
    let mut width = 1;
    let mut sort = None;
    while let Some(first) = steps.next() {
        let sort_of_first = first.change.as_ref().map(mem::discriminant);
        if sort != sort_of_first {
            sort = sort_of_first;
            width = first.change.as_ref().map_or(1, first_width);
        }
        let mut batch = vec![first];
        while batch.len() < width
            && let Some(step) = steps.next_if(|step| alike(step.change.as_ref(), batch[0].change.as_ref()))
        {
            batch.push(step);
        }
        width = (width * 2).min(PARALLEL_MAX);
        if let Some(outcome) = run(door, user, batch).await {
            return outcome;
        }
    }
    Outcome::Done
}

/// Splits a plan into changes with their events.
fn steps(plan: Plan) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (change, reason) in plan.changes {
        tracing::trace!(?change, reason, "planned");
        match (change, steps.last_mut()) {
            (event @ Change::Event { .. }, Some(step)) => step.events.push(event),
            (event @ Change::Event { .. }, None) => steps.push(Step { change: None, events: vec![event] }),
            (change, _) => steps.push(Step { change: Some(change), events: Vec::new() }),
        }
    }
    steps
}

/// How many changes of this sort start together. Creating meets quotas and admission; the rest is not refused en
/// masse.
fn first_width(change: &Change) -> usize {
    match change {
        Change::Create(_) | Change::Update(..) => 1,
        _ => PARALLEL_MAX,
    }
}

/// Whether two changes may be made side by side. Two of one plan are never about one object, except updates of an
/// object and of its status.
fn alike(one: Option<&Change>, other: Option<&Change>) -> bool {
    match (one, other) {
        (Some(Change::Update(a, _)), Some(Change::Update(b, _))) => {
            a["kind"] != b["kind"] || a["metadata"]["name"] != b["metadata"]["name"]
        }
        (Some(Change::Create(a)), Some(Change::Create(b))) => a["kind"] == b["kind"],
        (Some(a), Some(b)) => mem::discriminant(a) == mem::discriminant(b),
        _ => false,
    }
}

/// Makes a batch; `None` when all of it was made.
async fn run<D: Door>(door: &D, user: &User, mut batch: Vec<Step>) -> Option<Outcome> {
    if batch.len() == 1 {
        return take(door.clone(), user.clone(), batch.pop()?).await;
    }
    let mut tasks = JoinSet::new();
    for step in batch {
        tasks.spawn(take(door.clone(), user.clone(), step));
    }
    // A conflict is no news while something else was refused: the refusal is what people have to see.
    let mut worst = None;
    while let Some(joined) = tasks.join_next().await {
        let outcome = joined.unwrap_or_else(|error| {
            let status = Status::internal(format!("a change ended early: {error}"));
            Some(Outcome::Conflict(status))
        });
        worst = match (worst, outcome) {
            (Some(Outcome::Refused(change, status)), _) => Some(Outcome::Refused(change, status)),
            (worst, outcome) => outcome.or(worst),
        };
    }
    worst
}

async fn take<D: Door>(door: D, user: User, step: Step) -> Option<Outcome> {
    if let Some(change) = step.change
        && let Err(status) = door.commit(&user, change.clone()).await
    {
        return match status.reason {
            Reason::Conflict | Reason::AlreadyExists | Reason::NotFound => Some(Outcome::Conflict(status)),
            _ => Some(Outcome::Refused(Box::new(change), status)),
        };
    }
    for event in step.events {
        if let Err(error) = door.commit(&user, event).await {
            // Failing to tell people fails nothing else.
            tracing::debug!(%error, "event not recorded");
        }
    }
    None
}
