//! Ways onto a node: this machine, the user's own OpenSSH, and (from the binary) the nodes of a sandbox.

mod local;
mod piped;
mod ssh;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

pub use local::Local;
pub use ssh::Ssh;

/// How long a unit may take to restart: systemd gives up after 90 seconds.
const RESTART: Duration = Duration::from_secs(100);

/// What a program on a node printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Ran {
    /// Whether it ended with 0.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// Both outputs as text, the error's last.
    pub fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&self.stderr));
        text
    }
}

/// Why a node could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The node can't be reached.
    #[error("node {node} can't be reached: {why}")]
    Unreachable {
        /// The node.
        node: String,
        /// What the way there said.
        why: String,
    },
    /// It took too long.
    #[error("node {node} did not answer within {} s: {what}", limit.as_secs())]
    TooSlow {
        /// The node.
        node: String,
        /// What was asked.
        what: String,
        /// How long it may take.
        limit: Duration,
    },
    /// A program could not be started there, or its pipes broke.
    #[error("could not run `{program}` on node {node}")]
    Run {
        /// The node.
        node: String,
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A connection from the node to somewhere could not be made.
    #[error("{address} can't be reached from node {node}: {why}")]
    Dial {
        /// The node.
        node: String,
        /// Where to.
        address: String,
        /// What the way there said.
        why: String,
    },
    /// This way onto the node can't do that.
    #[error("node {node}: this way onto it can't {what}")]
    Unsupported {
        /// The node.
        node: String,
        /// What it would have to do.
        what: &'static str,
    },
}

/// A connection that could not be made, which shows only when it is read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NotThrough {
    /// What the way there said.
    pub why: String,
    /// Whether the node's sshd forbids it, so that it says nothing of the other end.
    pub forbidden: bool,
}

impl NotThrough {
    /// Finds it among an error's causes.
    pub fn of<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            if let Some(found) = inner.and_then(|inner| inner.downcast_ref::<Self>()) {
                return Some(found);
            }
            next = error.source();
        }
        None
    }
}

/// A connection in both directions.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// What a program reads, as it comes.
pub type Feed = Box<dyn AsyncRead + Send + Unpin>;

/// Work that is done once, on a thread of its own.
pub type Job = Box<dyn FnOnce() + Send>;

/// A path on this machine that reaches a socket of a node. The way closes when this is dropped.
pub struct Socket {
    path: PathBuf,
    /// What keeps the way open: a process, a temporary directory.
    _way: Option<Box<dyn Send + Sync>>,
}

impl Socket {
    /// A socket of this machine, or one that `way` forwards for as long as it lives.
    pub fn new(path: PathBuf, way: Option<Box<dyn Send + Sync>>) -> Self {
        Self { path, _way: way }
    }

    /// Where to connect.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A way onto a node.
#[async_trait::async_trait]
pub trait Access: Send + Sync {
    /// The node's name.
    fn node(&self) -> &str;

    /// Runs a program there. `input` becomes its standard input, which is empty otherwise. Arguments reach the program as
    /// they are, whatever a shell in between would make of them. Nothing secret belongs into arguments: others on that
    /// machine can read them.
    ///
    /// # Errors
    /// When the node can't be reached, the program can't be started there, or it takes longer than `limit`. A program
    /// that fails is no error.
    async fn run(
        &self,
        program: &str,
        arguments: &[&str],
        input: Option<&[u8]>,
        limit: Duration,
    ) -> Result<Ran, AccessError>;

    /// As [`Access::run`], for a standard input that is too long to hold in memory.
    ///
    /// # Errors
    /// As [`Access::run`].
    async fn feed(&self, program: &str, arguments: &[&str], input: Feed, limit: Duration) -> Result<Ran, AccessError> {
        let (_, _, _, _) = (program, arguments, input, limit);
        Err(AccessError::Unsupported { node: self.node().to_owned(), what: "take a long input" })
    }

    /// A TCP connection that begins on the node.
    ///
    /// # Errors
    /// When it can't be made, or this way onto the node has no means for it.
    async fn dial(&self, host: &str, port: u16) -> Result<Box<dyn Wire>, AccessError> {
        let (_, _) = (host, port);
        Err(AccessError::Unsupported { node: self.node().to_owned(), what: "connect to other machines" })
    }

    /// A way to a Unix socket of the node.
    ///
    /// # Errors
    /// When the node can't be reached. Whether anybody listens shows when it is used.
    async fn socket(&self, path: &str) -> Result<Socket, AccessError>;

    /// Runs work on a thread that is in the node's network, where the way there is through namespaces of this machine.
    ///
    /// # Errors
    /// When the node can't be reached, or this way onto it enters no network.
    async fn in_network(&self, work: Job) -> Result<(), AccessError> {
        drop(work);
        Err(AccessError::Unsupported { node: self.node().to_owned(), what: "enter its network" })
    }

    /// The file in which a unit of that node logs, where it is no systemd unit: `containerd`, `kubelet`.
    fn log(&self, _unit: &str) -> Option<&str> {
        None
    }

    /// Restarts a unit, such as `containerd`. Running containers go on.
    ///
    /// # Errors
    /// When the node can't be reached. What the restart printed is in the result.
    async fn restart(&self, unit: &str) -> Result<Ran, AccessError> {
        self.run("systemctl", &["restart", "--", unit], None, RESTART).await
    }

    /// Where containerd listens on that node, if the way there knows it.
    fn containerd_socket(&self) -> Option<&str> {
        None
    }
}
