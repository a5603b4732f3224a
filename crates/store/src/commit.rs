//! The committer: takes waiting commits, decides them in order, makes them durable together, then answers.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::{Key, LogEntry, LogType, Object, Revision, View};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};

use crate::disk::{Disk, Put};
use crate::history::History;

/// Commits that share one fsync at most: bounds how long the first of them waits.
const BATCH: usize = 256;

/// What must be true of an object for a write to it to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It does not exist.
    Absent,
    /// It exists at exactly this revision.
    Revision(Revision),
    /// Nothing.
    Any,
}

/// One write of one object.
#[derive(Clone, Debug)]
pub struct Write {
    /// Which object.
    pub key: Key,
    /// What must be true of it.
    pub expect: Expect,
    /// Its new state; `None` deletes it.
    pub value: Option<Value>,
}

/// Why a commit did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// It was to be absent and is there.
    #[error("{0:?} exists already")]
    Exists(Arc<Object>),
    /// It is there at another revision than expected.
    #[error("{0:?} has changed")]
    Conflict(Arc<Object>),
    /// It was expected, or to be deleted, and is not there.
    #[error("{0:?} does not exist")]
    Missing(Key),
    /// The disk refused; nothing of the batch was kept.
    #[error("write the cluster's log: {0}")]
    Io(Arc<redb::Error>),
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

/// A commit that waits for its turn.
pub(crate) struct Job {
    pub(crate) writes: Vec<Write>,
    pub(crate) answer: oneshot::Sender<Result<Vec<Arc<Object>>, CommitError>>,
}

pub(crate) struct Committer {
    pub(crate) disk: Disk,
    pub(crate) views: watch::Sender<View>,
    pub(crate) history: Arc<History>,
    /// Keys of batches that failed: nobody can tell what of them reached the disk, so the next batch writes what the
    /// view says about them too.
    unsure: BTreeSet<Key>,
}

/// What one batch has decided so far.
struct Batch {
    view: View,
    entries: Vec<Arc<LogEntry>>,
}

impl Committer {
    pub(crate) fn new(disk: Disk, views: watch::Sender<View>, history: Arc<History>) -> Self {
        Self { disk, views, history, unsure: BTreeSet::new() }
    }

    /// Runs until nobody can hand in a commit any more.
    pub(crate) fn run(mut self, mut waiting: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(BATCH);
        while waiting.blocking_recv_many(&mut jobs, BATCH) > 0 {
            self.batch(&mut jobs);
        }
    }

    fn batch(&mut self, jobs: &mut Vec<Job>) {
        let mut batch = Batch { view: self.views.borrow().clone(), entries: Vec::new() };
        let decided: Vec<_> = jobs
            .drain(..)
            .map(|job| {
                let result = batch.decide(job.writes);
                (job.answer, result)
            })
            .collect();
        let written = if batch.entries.is_empty() { Ok(()) } else { self.make_durable(&batch) };
        if let Err(error) = written {
            tracing::error!(%error, "the disk refused a batch of writes; none of them happened");
            let error = Arc::new(error);
            for (answer, result) in decided {
                let refused = result.and(Err(CommitError::Io(error.clone())));
                let _gone = answer.send(refused); // Who no longer waits need not be told.
            }
            return;
        }
        if !batch.entries.is_empty() {
            // History first: whoever sees the new view must find its entries.
            self.history.publish(&batch.entries);
            self.views.send_replace(batch.view);
        }
        for (answer, result) in decided {
            let _gone = answer.send(result); // Who no longer waits need not be told.
        }
    }

    fn make_durable(&mut self, batch: &Batch) -> Result<(), redb::Error> {
        self.unsure.extend(batch.entries.iter().map(|entry| entry.object.header.key.clone()));
        let (view, catalogue) = (&batch.view, batch.view.catalogue());
        let puts = self.unsure.iter().map(|key| Put {
            kind: catalogue.kind(key.kind),
            key,
            object: view.object(key).map(Arc::as_ref),
        });
        self.disk.write(puts, view.revision())?;
        self.unsure.clear();
        Ok(())
    }
}

impl Batch {
    /// Applies all of one commit's writes to the batch, or none.
    fn decide(&mut self, writes: Vec<Write>) -> Result<Vec<Arc<Object>>, CommitError> {
        let before = (self.view.clone(), self.entries.len());
        let mut objects = Vec::with_capacity(writes.len());
        for write in writes {
            match self.apply(write) {
                Ok(object) => objects.push(object),
                Err(error) => {
                    self.view = before.0;
                    self.entries.truncate(before.1);
                    return Err(error);
                }
            }
        }
        Ok(objects)
    }

    fn apply(&mut self, write: Write) -> Result<Arc<Object>, CommitError> {
        let current = self.view.object(&write.key).cloned();
        match (write.expect, &current) {
            (Expect::Absent, Some(object)) => return Err(CommitError::Exists(object.clone())),
            (Expect::Revision(_), None) => return Err(CommitError::Missing(write.key)),
            (Expect::Revision(revision), Some(object)) if object.header.revision != revision => {
                return Err(CommitError::Conflict(object.clone()));
            }
            _ => {}
        }
        let revision = self.view.revision() + 1;
        let kind = self.view.catalogue().kind(write.key.kind).clone();
        let (value, log_type) = match (write.value, &current) {
            (Some(value), Some(_)) => (value, LogType::Modified),
            (Some(value), None) => (value, LogType::Added),
            (None, Some(object)) => (object.value(), LogType::Deleted),
            (None, None) => return Err(CommitError::Missing(write.key)),
        };
        let object = Arc::new(Object::seal(&kind, value, revision));
        if log_type == LogType::Deleted {
            self.view.remove(&write.key);
        } else {
            self.view.insert(object.clone());
        }
        self.view.advance(revision);
        let entry = LogEntry { revision, kind: log_type, object: object.clone(), previous: current };
        self.entries.push(Arc::new(entry));
        Ok(object)
    }
}
