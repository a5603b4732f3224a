//! What changed lately, per kind and over all kinds, for watches and controllers.
//!
//! Invariant: entries are in order of revision and none is missing between the oldest kept and the newest; `dropped`
//! is the newest revision that is no longer kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use api::{KindId, LogEntry, Revision, View};
use tokio::sync::watch;

/// JSON bytes of one kind's history that are kept at most.
const KIND_BYTES: usize = 8 << 20;
/// Entries kept at most, of one kind or of all.
const ENTRIES: usize = 8192;
/// How long an entry is kept at most, as etcd's compaction does it.
const AGE: Duration = Duration::from_secs(300);
/// Entries handed out at once at most.
const BATCH: usize = 512;

/// Changes after the revision that was asked for are no longer kept: list again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {asked} ({oldest})")]
pub struct Compacted {
    /// The revision asked for.
    pub asked: Revision,
    /// The oldest revision that can be asked for.
    pub oldest: Revision,
}

/// The bounded log of one kind, or of all.
struct Log {
    kept: Mutex<Kept>,
    newest: watch::Sender<Revision>,
}

struct Kept {
    entries: VecDeque<(Instant, Arc<LogEntry>)>,
    bytes: usize,
    dropped: Revision,
}

impl Log {
    fn new(revision: Revision) -> Self {
        let kept = Kept { entries: VecDeque::new(), bytes: 0, dropped: revision };
        Self { kept: Mutex::new(kept), newest: watch::Sender::new(revision) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic while the lock is held leaves at worst a shorter history.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, entry: &Arc<LogEntry>, now: Instant) {
        let mut kept = self.kept();
        kept.bytes += entry.object.json.len();
        kept.entries.push_back((now, entry.clone()));
        while kept.entries.len() > 1
            && (kept.entries.len() > ENTRIES
                || kept.bytes > KIND_BYTES
                || kept.entries.front().is_some_and(|(at, _)| now.duration_since(*at) > AGE))
        {
            if let Some((_, oldest)) = kept.entries.pop_front() {
                kept.bytes -= oldest.object.json.len();
                kept.dropped = oldest.revision;
            }
        }
    }

    /// Entries after `after`, at most [`BATCH`].
    fn after(&self, after: Revision) -> Result<Vec<Arc<LogEntry>>, Compacted> {
        let kept = self.kept();
        if after < kept.dropped {
            return Err(Compacted { asked: after, oldest: kept.dropped });
        }
        let from = kept.entries.partition_point(|(_, entry)| entry.revision <= after);
        Ok(kept.entries.range(from..).take(BATCH).map(|(_, entry)| entry.clone()).collect())
    }
}

/// The history of a store.
pub(crate) struct History {
    kinds: Vec<Arc<Log>>,
    all: Arc<Log>,
}

impl History {
    pub(crate) fn new(n_kinds: usize, revision: Revision) -> Self {
        let kinds = (0..n_kinds).map(|_| Arc::new(Log::new(revision))).collect();
        Self { kinds, all: Arc::new(Log::new(revision)) }
    }

    /// Adds what a batch did and wakes who waits for it.
    pub(crate) fn publish(&self, entries: &[Arc<LogEntry>]) {
        let now = Instant::now();
        for entry in entries {
            self.all.push(entry, now);
            self.kinds[usize::from(entry.object.header.key.kind.0)].push(entry, now);
        }
        for entry in entries {
            self.kinds[usize::from(entry.object.header.key.kind.0)].newest.send_replace(entry.revision);
        }
        if let Some(last) = entries.last() {
            self.all.newest.send_replace(last.revision);
        }
    }

    pub(crate) fn cursor(
        &self,
        kind: KindId,
        after: Revision,
        views: watch::Receiver<View>,
    ) -> Result<Cursor, Compacted> {
        let log = self.kinds[usize::from(kind.0)].clone();
        log.after(after)?;
        Ok(Cursor { newest: log.newest.subscribe(), log, after, views })
    }

    pub(crate) fn follow(&self, views: watch::Receiver<View>) -> Follow {
        let newest = self.all.newest.subscribe();
        let after = *newest.borrow();
        Follow { log: self.all.clone(), newest, after, views }
    }
}

/// A place in one kind's history, moving forward.
pub struct Cursor {
    log: Arc<Log>,
    newest: watch::Receiver<Revision>,
    after: Revision,
    views: watch::Receiver<View>,
}

impl Cursor {
    /// The next changes, in order, once the newest view shows them; waits until there is one. Dropping the future
    /// loses nothing.
    ///
    /// # Errors
    /// When changes that were not yet handed out are no longer kept: the reader was too slow.
    pub async fn next(&mut self) -> Result<Vec<Arc<LogEntry>>, Compacted> {
        next(&self.log, &mut self.newest, &mut self.after, &mut self.views).await
    }

    /// A revision up to which this cursor has handed out every change of its kind, as new as can be told.
    pub fn progress(&mut self) -> Revision {
        // The order matters: history is published before the view, so a view read first hides no entry.
        let published = self.views.borrow().revision();
        if published > self.after && self.log.after(self.after).is_ok_and(|entries| entries.is_empty()) {
            self.after = published;
        }
        self.after
    }
}

/// A place in the history of all kinds, moving forward.
pub struct Follow {
    log: Arc<Log>,
    newest: watch::Receiver<Revision>,
    after: Revision,
    views: watch::Receiver<View>,
}

impl Follow {
    /// The next changes of all kinds, in order, once the newest view shows them; waits until there is one. Dropping
    /// the future loses nothing.
    ///
    /// # Errors
    /// When the reader was too slow: it must look at everything in the newest view; following goes on from there.
    pub async fn next(&mut self) -> Result<Vec<Arc<LogEntry>>, Compacted> {
        let result = next(&self.log, &mut self.newest, &mut self.after, &mut self.views).await;
        if result.is_err() {
            self.after = *self.newest.borrow();
        }
        result
    }
}

async fn next(
    log: &Log,
    newest: &mut watch::Receiver<Revision>,
    after: &mut Revision,
    views: &mut watch::Receiver<View>,
) -> Result<Vec<Arc<LogEntry>>, Compacted> {
    loop {
        let entries = log.after(*after)?;
        if let Some(last) = entries.last() {
            // Who is told of a change must find it in the newest view: it is published just after the history.
            // When the store closes there is no newer view to wait for.
            drop(views.wait_for(|view| view.revision() >= last.revision).await);
            // Only now, so that a caller who gave up waiting has lost nothing.
            *after = last.revision;
            return Ok(entries);
        }
        let seen = *after;
        if newest.wait_for(|newest| *newest > seen).await.is_err() {
            // The log is shared with this reader, so its sender lives as long as we do.
            std::future::pending::<()>().await;
        }
        // A revision can be announced for a kind only after its entry was added, so this does not spin.
    }
}
