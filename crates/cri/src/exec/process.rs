//! Control of a running process, and the task that cleans up behind it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use super::TerminalSize;
use crate::proto::containerd::services::tasks::v1 as tasks;
use crate::runtime::{ACTION, QUERY, namespaced};
use crate::{Error, Runtime};

const SIGKILL: u32 = 9;
/// How often containerd is asked again while it is away, and how long until a process counts as
/// lost: a minute, in which it should have been restarted.
const RECONNECT_POLL: Duration = Duration::from_millis(200);
const RECONNECT_ATTEMPTS: u32 = 300;
/// A call that failed after so long had been connected: with it, a new outage begins.
const CONNECTED: Duration = Duration::from_secs(5);

/// Held by each part of the program that may still want something of the process: the last one to
/// go lets the reaper delete it.
pub(super) type InUse = mpsc::Sender<std::convert::Infallible>;

/// Why no exit code is known: containerd forgot the process, or was gone for too long.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the exit code of the process is lost: {0}")]
pub struct ProcessEnded(String);

/// A process in a container. When the last clone is dropped while it runs, it is killed.
#[derive(Clone, Debug)]
pub struct Process {
    target: Arc<Target>,
    exit: watch::Receiver<Option<Result<i32, ProcessEnded>>>,
    /// Both kinds of "in use": handles keep the process alive, handles and outputs keep its record.
    _handle: InUse,
    _record: InUse,
}

/// Which process, where.
#[derive(Debug)]
struct Target {
    runtime: Runtime,
    container: String,
    id: String,
}

impl Process {
    /// Takes charge of a process that containerd knows and has not started.
    pub(super) fn created(runtime: Runtime, container: &str, id: String) -> (Self, InUse) {
        let target = Arc::new(Target { runtime, container: container.to_owned(), id });
        let (exited, exit) = watch::channel(None);
        let (handle, handles) = mpsc::channel(1);
        let (record, records) = mpsc::channel(1);
        // It ends with the process, which ends with its handles: nothing is left to join.
        tokio::spawn(reap(target.clone(), exited, handles, records));
        let process = Self { target, exit, _handle: handle, _record: record.clone() };
        (process, record)
    }

    /// Starts it; on failure, dropping the handle deletes the record.
    pub(super) async fn start(&self) -> Result<(), Error> {
        let Target { runtime, container, id } = &*self.target;
        let request = namespaced(tasks::StartRequest { container_id: container.clone(), exec_id: id.clone() });
        let mut client = runtime.tasks();
        runtime.call("Tasks.Start", ACTION, client.start(request)).await?;
        Ok(())
    }

    /// The exit code, once it has ended: 128 + N for signal N. May be awaited more than once.
    ///
    /// Output may still be in the pipes then.
    pub async fn wait(&self) -> Result<i32, ProcessEnded> {
        let mut exit = self.exit.clone();
        let known = exit.wait_for(Option::is_some).await;
        match known.as_deref() {
            Ok(Some(exit)) => exit.clone(),
            _ => Err(ProcessEnded("its reaper ended".to_owned())),
        }
    }

    /// Changes the size of its terminal.
    pub async fn resize(&self, size: TerminalSize) -> Result<(), Error> {
        let Target { runtime, container, id } = &*self.target;
        let request = namespaced(tasks::ResizePtyRequest {
            container_id: container.clone(),
            exec_id: id.clone(),
            width: size.width.into(),
            height: size.height.into(),
        });
        let mut client = runtime.tasks();
        runtime.call("Tasks.ResizePty", QUERY, client.resize_pty(request)).await
    }

    /// Ends its input: after what was written, and once the [`super::Input`] is dropped too, it
    /// reads end-of-file. A terminal has no end of input.
    pub async fn close_stdin(&self) -> Result<(), Error> {
        let Target { runtime, container, id } = &*self.target;
        let request =
            namespaced(tasks::CloseIoRequest { container_id: container.clone(), exec_id: id.clone(), stdin: true });
        let mut client = runtime.tasks();
        runtime.call("Tasks.CloseIO", QUERY, client.close_io(request)).await
    }

    /// Sends a signal by its number. A process that has ended is not an error.
    pub async fn kill(&self, signal: u32) -> Result<(), Error> {
        self.target.kill(signal).await
    }
}

impl Runtime {
    /// Ends the input of a container's first process, as [`Process::close_stdin`] does for others.
    pub async fn close_container_stdin(&self, container: &str) -> Result<(), Error> {
        let request = namespaced(tasks::CloseIoRequest {
            container_id: container.to_owned(),
            exec_id: String::new(),
            stdin: true,
        });
        let mut client = self.tasks();
        self.call("Tasks.CloseIO", QUERY, client.close_io(request)).await
    }
}

impl Target {
    async fn kill(&self, signal: u32) -> Result<(), Error> {
        let request = namespaced(tasks::KillRequest {
            container_id: self.container.clone(),
            exec_id: self.id.clone(),
            signal,
            all: false,
        });
        let mut client = self.runtime.tasks();
        let killed = self.runtime.call("Tasks.Kill", QUERY, client.kill(request)).await;
        match killed {
            Err(err) if err.not_found() => Ok(()),
            killed => killed,
        }
    }

    /// Waits without end for the exit code, over restarts of containerd.
    async fn exit(&self) -> Result<i32, Error> {
        over_restarts(|| async {
            let request =
                namespaced(tasks::WaitRequest { container_id: self.container.clone(), exec_id: self.id.clone() });
            let mut client = self.runtime.tasks();
            match client.wait(request).await {
                Ok(answer) => Ok(answer.into_inner().exit_status.cast_signed()),
                Err(status) => Err(self.runtime.status_error("Tasks.Wait", status)),
            }
        })
        .await
    }

    async fn delete(&self) -> Result<(), Error> {
        over_restarts(|| async {
            let request = namespaced(tasks::DeleteProcessRequest {
                container_id: self.container.clone(),
                exec_id: self.id.clone(),
            });
            let mut client = self.runtime.tasks();
            let deleted = self.runtime.call("Tasks.DeleteProcess", ACTION, client.delete_process(request)).await;
            match deleted {
                Err(err) if err.not_found() => Ok(()),
                deleted => deleted.map(|_| ()),
            }
        })
        .await
    }
}

/// Asks again while containerd is away, for a bounded time.
async fn over_restarts<T, F>(mut ask: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut n_failed = 0;
    loop {
        let asked = Instant::now();
        match ask().await {
            Err(err) if err.unavailable() => {
                n_failed = if asked.elapsed() > CONNECTED { 1 } else { n_failed + 1 };
                if n_failed > RECONNECT_ATTEMPTS {
                    return Err(err);
                }
                sleep(RECONNECT_POLL).await;
            }
            result => return result,
        }
    }
}

/// Waits for the process, kills it when nobody holds it any more, and deletes its record when its
/// output was read.
async fn reap(
    target: Arc<Target>,
    exited: watch::Sender<Option<Result<i32, ProcessEnded>>>,
    mut handles: mpsc::Receiver<std::convert::Infallible>,
    mut records: mpsc::Receiver<std::convert::Infallible>,
) {
    let exit = {
        let exit = target.exit();
        tokio::pin!(exit);
        tokio::select! {
            exit = &mut exit => exit,
            _ = handles.recv() => match target.kill(SIGKILL).await {
                Ok(()) => exit.await,
                Err(err) => Err(err),
            },
        }
    };
    if let Err(error) = &exit {
        let (container, id) = (&target.container, &target.id);
        tracing::debug!(%container, %id, %error, "the exit code of a process is lost");
    }
    // Nobody may be listening any more.
    let _ = exited.send(Some(exit.map_err(|err| ProcessEnded(err.to_string()))));
    // Deleting it sooner would cut off output that is still in the pipes.
    let _ = records.recv().await;
    if let Err(error) = target.delete().await {
        let (container, id) = (&target.container, &target.id);
        tracing::warn!(%container, %id, %error, "containerd keeps the record of an ended process");
    }
}
