//! What can go wrong between us and containerd.
//!
//! Invariant: the code and the words of a gRPC status are kept verbatim; users search for them and
//! `doctor` has rules on them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tonic::{Code, Status};

use crate::import::ImportError;

/// A call on containerd that did not work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// containerd answered with an error.
    #[error("{call} on {}: {}", .socket.display(), rpc_text(*.code, .message))]
    Call { call: &'static str, socket: Arc<Path>, code: Code, message: String },
    /// The socket is missing, nobody listens on it, or the connection broke before the answer.
    #[error("{call}: no connection to containerd at {}; is it running?", .socket.display())]
    Unreachable {
        call: &'static str,
        socket: Arc<Path>,
        #[source]
        source: io::Error,
    },
    /// No answer in time; what the call began may still happen.
    #[error("{call} on {}: no answer from containerd within {limit:?}", .socket.display())]
    Deadline { call: &'static str, socket: Arc<Path>, limit: Duration },
    /// An answer without a part that the protocol promises.
    #[error("{call} on {}: the answer has no {field}", .socket.display())]
    Incomplete { call: &'static str, socket: Arc<Path>, field: &'static str },
    /// The socket's path cannot be used.
    #[error("containerd's socket path {path:?} is not UTF-8; choose another directory")]
    SocketPath { path: PathBuf },
    /// The pipes of a process could not be made.
    #[error("could not make a pipe at {} for a process", .path.display())]
    Pipe {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A container's own runtime spec cannot be used to run a further process in it.
    #[error("runtime spec of container {container}: {problem}")]
    Spec { container: String, problem: String },
    /// An image archive is unusable.
    #[error(transparent)]
    Import(#[from] ImportError),
}

impl Error {
    pub(crate) fn from_status(call: &'static str, socket: &Arc<Path>, status: Status) -> Self {
        let socket = socket.clone();
        // Only a status that was made on this side has a source: the transport's own error.
        if let Some(cause) = std::error::Error::source(&status) {
            return Self::Unreachable { call, socket, source: root_cause(cause) };
        }
        Self::Call { call, socket, code: status.code(), message: status.message().to_owned() }
    }

    /// The gRPC code, if containerd answered.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Call { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// The error as Kubernetes' events and conditions show it: containerd's answer alone.
    #[must_use]
    pub fn event_text(&self) -> String {
        match self {
            Self::Call { code, message, .. } => rpc_text(*code, message),
            Self::Deadline { .. } => rpc_text(Code::DeadlineExceeded, "context deadline exceeded"),
            other => other.to_string(),
        }
    }

    /// Nothing has that name or id.
    #[must_use]
    pub fn not_found(&self) -> bool {
        self.code() == Some(Code::NotFound)
    }

    /// The name or id is in use.
    #[must_use]
    pub fn already_exists(&self) -> bool {
        self.code() == Some(Code::AlreadyExists)
    }

    /// containerd is not there (down, starting, or restarting): the same call may work later.
    #[must_use]
    pub fn unavailable(&self) -> bool {
        matches!(self, Self::Unreachable { .. }) || self.code() == Some(Code::Unavailable)
    }

    /// containerd answers but its CRI plugin is still loading; over within a second of its start.
    #[must_use]
    pub fn not_ready_yet(&self) -> bool {
        matches!(self, Self::Call { message, .. } if message.contains("server is not initialized yet"))
    }

    /// containerd runs without its CRI plugin: [`crate::Runtime::plugins`] has the reason.
    #[must_use]
    pub fn unimplemented(&self) -> bool {
        self.code() == Some(Code::Unimplemented)
    }
}

/// What the operating system said, beneath the layers that say only "transport error".
fn root_cause(mut cause: &(dyn std::error::Error + 'static)) -> io::Error {
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    match cause.downcast_ref::<io::Error>() {
        Some(error) => match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(error.kind(), error.to_string()),
        },
        None => io::Error::other(cause.to_string()),
    }
}

/// A gRPC error in the words that Go programs print, which is how Kubernetes' users know them.
fn rpc_text(code: Code, message: &str) -> String {
    let code = match code {
        // Go spells it so.
        Code::Cancelled => "Canceled".to_owned(),
        code => format!("{code:?}"),
    };
    format!("rpc error: code = {code} desc = {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: Status) -> Error {
        Error::from_status("StopContainer", &Arc::from(Path::new("/run/c.sock")), status)
    }

    #[test]
    fn an_answer_is_kept_verbatim() {
        let error = error(Status::not_found("container \"x\": not found"));
        assert!(error.not_found() && !error.unavailable());
        assert_eq!(
            error.to_string(),
            "StopContainer on /run/c.sock: rpc error: code = NotFound desc = container \"x\": not found"
        );
        assert_eq!(error.event_text(), "rpc error: code = NotFound desc = container \"x\": not found");
    }

    #[test]
    fn a_starting_cri_plugin_is_not_ready_yet() {
        assert!(error(Status::unknown("server is not initialized yet")).not_ready_yet());
        assert!(!error(Status::unknown("something else")).not_ready_yet());
    }
}
