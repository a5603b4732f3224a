//! The log: every object at every revision that still matters, durable before it is answered.
//!
//! One committer thread owns all writes. It takes whatever waits, decides each commit against the view that its
//! predecessors in the batch leave behind, makes the whole batch durable with one fsync, and only then publishes the
//! new [`View`] and answers. So a view never shows what a crash could take back, and nothing that was answered is
//! lost.
//!
//! Multi-version reads come from views, which are persistent maps: a reader keeps its view as long as it likes.
//! Watch history is bounded; who asks for what is no longer kept gets [`Compacted`] and lists again.
//!
//! Deliberately absent: any knowledge of kinds beyond their number, and HTTP.

mod commit;
mod disk;
mod history;
mod pins;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use api::{Catalogue, KindId, Object, Revision, View};
use tokio::sync::{mpsc, oneshot, watch};

pub use commit::{CommitError, Expect, Write};
pub use disk::OpenError;
pub use history::{Compacted, Cursor, Follow};

use commit::{Committer, Job};
use disk::Disk;
use history::History;
use pins::Pins;

/// Commits that may wait for the committer before callers have to wait to hand theirs in.
const QUEUED_COMMITS: usize = 1024;

/// The log of one cluster.
pub struct Store {
    jobs: Option<mpsc::Sender<Job>>,
    views: watch::Receiver<View>,
    history: Arc<History>,
    pins: Pins,
    committer: Option<JoinHandle<()>>,
}

impl Store {
    /// Opens the log in the file `path`, which is made if it is missing.
    ///
    /// # Errors
    /// When the file can't be opened or made, is in use by another process, or is no log of this format.
    pub fn open(path: &Path, catalogue: Arc<Catalogue>) -> Result<Arc<Self>, OpenError> {
        Self::start(Disk::open(path)?, catalogue)
    }

    /// Opens a log that lives in memory only: for tests and for trying things out.
    ///
    /// # Errors
    /// Never in practice; the signature is that of [`Store::open`].
    pub fn in_memory(catalogue: Arc<Catalogue>) -> Result<Arc<Self>, OpenError> {
        Self::start(Disk::in_memory()?, catalogue)
    }

    fn start(mut disk: Disk, catalogue: Arc<Catalogue>) -> Result<Arc<Self>, OpenError> {
        let view = disk.load(catalogue.clone())?;
        let history = Arc::new(History::new(catalogue.kinds().len(), view.revision()));
        let (view_sender, views) = watch::channel(view);
        let (jobs, waiting) = mpsc::channel(QUEUED_COMMITS);
        let committer = Committer::new(disk, view_sender, history.clone());
        let thread = std::thread::Builder::new()
            .name("store-commit".to_owned())
            .spawn(move || committer.run(waiting))
            .map_err(OpenError::Thread)?;
        Ok(Arc::new(Self { jobs: Some(jobs), views, history, pins: Pins::default(), committer: Some(thread) }))
    }

    /// The newest view.
    pub fn view(&self) -> View {
        self.views.borrow().clone()
    }

    /// The newest view, and word of each that follows.
    pub fn views(&self) -> watch::Receiver<View> {
        self.views.clone()
    }

    /// Writes all of `writes` or none of them. When this answers `Ok`, they are durable and visible, and the answer
    /// holds for each write the object that it made, or for a deletion the object's last state.
    ///
    /// # Errors
    /// When an expectation does not hold, or the disk refuses; then nothing is written.
    pub async fn commit(&self, writes: Vec<Write>) -> Result<Vec<Arc<Object>>, CommitError> {
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(CommitError::Closed)?;
        jobs.send(Job { writes, answer }).await.map_err(|_| CommitError::Closed)?;
        answered.await.map_err(|_| CommitError::Closed)?
    }

    /// Follows one kind from the first change after revision `after` on.
    ///
    /// # Errors
    /// When changes after `after` are no longer kept.
    pub fn watch(&self, kind: KindId, after: Revision) -> Result<Cursor, Compacted> {
        self.history.cursor(kind, after, self.views.clone())
    }

    /// Follows all kinds from the next change on. The view of [`Store::view`] taken *after* this call misses nothing.
    pub fn follow(&self) -> Follow {
        self.history.follow(self.views.clone())
    }

    /// Keeps `view` for a while, so that a chunked list can go on at its revision.
    pub fn pin(&self, view: View) {
        self.pins.put(view);
    }

    /// The view of `revision`, if that is the newest or was pinned not long ago.
    pub fn view_at(&self, revision: Revision) -> Option<View> {
        let newest = self.view();
        if newest.revision() == revision { Some(newest) } else { self.pins.get(revision) }
    }
}

impl Drop for Store {
    /// Waits for the committer, so that the file is closed when the store is gone.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.committer.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's committer ended in a panic");
        }
    }
}
