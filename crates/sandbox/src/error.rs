//! What can go wrong while a cluster is made, started, stopped or removed.
//!
//! Every message is for the person who typed the command: what, where, and the
//! next step where there is one. `Display` never repeats its source.

use std::io;
use std::path::{Path, PathBuf};

use crate::preflight::Problem;

/// Result of this crate's operations.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the sandbox.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file system operation failed.
    #[error("cannot {action} {}", path.display())]
    File {
        /// Verb phrase, such as "read".
        action: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A system call that has no path failed.
    #[error("cannot {action}")]
    System {
        /// Verb phrase with its object.
        action: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The kernel refused a change of links, addresses or routes.
    #[error("cannot {action}")]
    Netlink {
        /// Verb phrase with its object.
        action: String,
        /// The kernel's answer.
        #[source]
        source: Box<rtnetlink::Error>,
    },
    /// A program that we called failed.
    #[error("{program} failed ({status}): {stderr}")]
    Program {
        /// Name and arguments.
        program: String,
        /// Exit status.
        status: std::process::ExitStatus,
        /// What it printed, in one line.
        stderr: String,
    },
    /// A certificate or key could not be made or read.
    #[error("cannot {action}: {reason}")]
    Pki {
        /// Verb phrase with its object.
        action: String,
        /// What the library says.
        reason: String,
    },
    /// A container runtime said no.
    #[error("containerd of node {node}: {message}; its log: {}", log.display())]
    Containerd {
        /// Node name.
        node: String,
        /// What happened.
        message: String,
        /// Where containerd logs.
        log: PathBuf,
    },
    /// The machine lacks something.
    #[error("{}", crate::preflight::list(.0))]
    Preflight(Vec<Problem>),
    /// What was asked for, or found in a file, is not acceptable.
    #[error("{0}")]
    Refused(String),
    /// Something did not happen in time.
    #[error("{what} did not happen within {seconds} s; see {}", log.display())]
    Timeout {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
        /// Where to look.
        log: PathBuf,
    },
}

impl Error {
    /// A refusal with a message.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::Refused(message.into())
    }

    /// Adapter for `map_err` on file operations.
    pub fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }

    /// Adapter for `map_err` on system calls through `nix`.
    pub(crate) fn system(action: impl Into<String>) -> impl FnOnce(nix::errno::Errno) -> Self {
        let action = action.into();
        move |errno| Self::System { action, source: errno.into() }
    }

    /// Adapter for `map_err` on netlink requests.
    pub(crate) fn netlink(action: impl Into<String>) -> impl FnOnce(rtnetlink::Error) -> Self {
        let action = action.into();
        move |source| Self::Netlink { action, source: Box::new(source) }
    }

    /// The message and those of all its sources, in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}
