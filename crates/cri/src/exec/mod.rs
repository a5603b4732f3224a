//! Runs a process in a running container, with its real pipes and terminal.
//!
//! CRI's own `Exec` hands out a URL whose protocols cannot close standard input (WebSocket) or need
//! SPDY; so this uses what lies beneath: containerd's tasks and named pipes.
//!
//! Invariants: a process does not outlive its last [`Process`] handle; the named pipes are gone from the
//! file system when [`Runtime::exec`] returns; containerd's record of the process is deleted when it
//! has ended and its output was read or given up.
//!
//! Deliberately absent: attaching to a container's first process, whose pipes containerd's CRI plugin
//! reads itself ([`Runtime::attach_url`]).

mod pipes;
mod process;
mod spec;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use crate::proto::containerd::services::tasks::v1 as tasks;
use crate::runtime::{ACTION, namespaced};
use crate::{Error, Runtime};

pub use pipes::{Input, Output};
pub use process::{Process, ProcessEnded};

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct ExecOptions {
    pub command: Vec<String>,
    /// Gives the process an input; without it, it reads end-of-file.
    pub stdin: bool,
    /// With a terminal there is no separate error output.
    pub terminal: Option<TerminalSize>,
}

/// Columns and rows of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    pub width: u16,
    pub height: u16,
}

impl Default for TerminalSize {
    fn default() -> Self {
        Self { width: 80, height: 24 }
    }
}

/// A process that runs, and its streams.
#[derive(Debug)]
pub struct Exec {
    /// Controls the process. Dropping the last clone kills it.
    pub process: Process,
    /// `None` unless asked for.
    pub stdin: Option<Input>,
    /// Ends when the process and all that inherited its output have ended.
    pub stdout: Output,
    /// `None` for a terminal.
    pub stderr: Option<Output>,
}

impl Runtime {
    /// Runs a command in a running container, with the user, environment, directory and
    /// capabilities of the container's own process.
    ///
    /// The output must be read or dropped: a process blocks on a full pipe.
    pub async fn exec(&self, container: &str, options: ExecOptions) -> Result<Exec, Error> {
        let spec = self.process_spec(container, &options).await?;
        let id = unique_id();
        // Its files go with it, on every way out of here.
        let pipes = pipes::Pipes::make(self.pipes(), &id, &options)?;
        let request = namespaced(tasks::ExecProcessRequest {
            container_id: container.to_owned(),
            stdin: pipes.stdin_path(),
            stdout: pipes.stdout_path(),
            stderr: pipes.stderr_path(),
            terminal: options.terminal.is_some(),
            spec: Some(spec),
            exec_id: id.clone(),
        });
        let mut client = self.tasks();
        self.call("Tasks.Exec", ACTION, client.exec(request)).await?;
        let (process, in_use) = Process::created(self.clone(), container, id);
        process.start().await?;
        let streams = pipes.into_streams(&in_use)?;
        Ok(Exec { process, stdin: streams.stdin, stdout: streams.stdout, stderr: streams.stderr })
    }
}

/// Unique in its container, also over restarts of this program.
fn unique_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let nanos = since.map_or(0, |since| since.as_nanos());
    format!("exec-{}-{nanos}-{count}", std::process::id())
}
