//! Notes in a worker's memory how pieces of work ended.

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinError;
use tracing::{debug, warn};

use crate::event::{About, Level};
use crate::pod::decide::Action;
use crate::pod::memory::{Failure, Trouble, Volumes as VolumeState};
use crate::pod::report::Reported;
use crate::pod::start::NotStarted;
use crate::pod::worker::{Done, Worker};

/// What could not be done is tried again after this, doubled each time up to the second.
const RETRY: (SignedDuration, SignedDuration) = (SignedDuration::from_millis(250), SignedDuration::from_secs(30));
/// A status that was not taken is sent again after this.
const RESEND: SignedDuration = SignedDuration::from_secs(1);
/// A container that could not be created is tried again after this.
const RETRY_CREATE: SignedDuration = SignedDuration::from_secs(10);

impl Worker {
    /// Notes how a piece of work ended; whether to look at the runtime.
    pub(super) fn settle(&mut self, done: Result<Done, JoinError>) -> bool {
        let done = match done {
            Ok(done) => done,
            Err(err) => {
                // A bug, contained: whatever it was is decided anew.
                tracing::error!(pod = %self.id, error = %err, "work for a pod panicked");
                (self.lane, self.cleaning, self.reporting, self.refreshing) = (None, false, false, false);
                self.memory.starting = None;
                return true;
            }
        };
        let now = Timestamp::now();
        match done {
            Done::Mounted(result) => {
                self.lane = None;
                self.memory.volumes = match result {
                    Ok(()) => {
                        self.n_failures = 0;
                        VolumeState::Mounted
                    }
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
        (self.lane, self.memory.starting) = (None, None);
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
            // If it is true, the watch will say so too.
            Reported::Gone => self.report_after = Some(now + RESEND),
            Reported::Failed(problem) => {
                debug!(pod = %self.id, error = problem, "status not reported");
                self.report_after = Some(now + RESEND);
            }
        }
    }

    /// Something failed once more.
    fn failure(&mut self, message: String, now: Timestamp) -> Failure {
        let (first, most) = RETRY;
        let delay = (first * (1 << self.n_failures.min(8))).min(most);
        self.n_failures += 1;
        Failure { message, retry_at: now + delay }
    }
}
