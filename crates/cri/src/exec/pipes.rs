//! The named pipes between us and a process in a container.
//!
//! Both ends are opened by path: ours here, the other by containerd's shim when the process starts.
//! Opening order matters. The readers open first, without waiting; the writer of standard input can
//! open only while somebody reads, so a placeholder that reads and writes keeps the pipe open until
//! the shim does.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};

use super::ExecOptions;
use super::process::InUse;
use crate::Error;

/// The pipes of a process that has not started.
pub(super) struct Pipes {
    directory: Directory,
    stdin: Option<Sender>,
    stdout: Receiver,
    stderr: Option<Receiver>,
}

/// Where the pipes have their names; removed when dropped.
struct Directory(PathBuf);

pub(super) struct Streams {
    pub(super) stdin: Option<Input>,
    pub(super) stdout: Output,
    pub(super) stderr: Option<Output>,
}

impl Pipes {
    pub(super) fn make(parent: &Path, id: &str, options: &ExecOptions) -> Result<Self, Error> {
        let directory = Directory(parent.join(id));
        DirBuilder::new().recursive(true).mode(0o700).create(&directory.0).map_err(pipe_error(&directory.0))?;
        let stdin = options.stdin.then(|| {
            let path = directory.fifo("stdin")?;
            let pipe = OpenOptions::new().read_write(true).open_sender(&path);
            pipe.map_err(pipe_error(&path))
        });
        let stderr = options.terminal.is_none().then(|| directory.receiver("stderr"));
        Ok(Self {
            stdin: stdin.transpose()?,
            stdout: directory.receiver("stdout")?,
            stderr: stderr.transpose()?,
            directory,
        })
    }

    pub(super) fn stdin_path(&self) -> String {
        self.path_if("stdin", self.stdin.is_some())
    }

    pub(super) fn stdout_path(&self) -> String {
        self.path_if("stdout", true)
    }

    pub(super) fn stderr_path(&self) -> String {
        self.path_if("stderr", self.stderr.is_some())
    }

    /// An absent pipe has the empty path. The directory's path is UTF-8: the socket's is.
    fn path_if(&self, name: &str, exists: bool) -> String {
        match exists {
            true => self.directory.0.join(name).to_string_lossy().into_owned(),
            false => String::new(),
        }
    }

    /// Our ends, once the shim has opened its own: from then on nobody needs the names.
    pub(super) fn into_streams(self, in_use: &InUse) -> Result<Streams, Error> {
        let output = |receiver| Output { receiver, in_use: Some(in_use.clone()) };
        let stdin = self.stdin.map(|placeholder| {
            let path = self.directory.0.join("stdin");
            let sender = OpenOptions::new().open_sender(&path);
            drop(placeholder);
            sender.map(|sender| Input { sender }).map_err(pipe_error(&path))
        });
        Ok(Streams { stdin: stdin.transpose()?, stdout: output(self.stdout), stderr: self.stderr.map(output) })
    }
}

impl Directory {
    fn fifo(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.0.join(name);
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).map_err(|errno| pipe_error(&path)(errno.into()))?;
        Ok(path)
    }

    fn receiver(&self, name: &str) -> Result<Receiver, Error> {
        let path = self.fifo(name)?;
        let pipe = OpenOptions::new().open_receiver(&path);
        pipe.map_err(pipe_error(&path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let path = self.0.display();
                tracing::warn!(%path, %error, "pipes of a process are left behind");
            }
            _ => {}
        }
    }
}

fn pipe_error(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Pipe { path, source }
}

/// Standard input of a process. Dropping it is not the end of the input, because the shim keeps the
/// pipe open: see [`super::Process::close_stdin`].
#[derive(Debug)]
pub struct Input {
    sender: Sender,
}

impl AsyncWrite for Input {
    fn poll_write(mut self: Pin<&mut Self>, ctx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.sender).poll_write(ctx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.sender).poll_flush(ctx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.sender).poll_shutdown(ctx)
    }
}

/// An output of a process.
#[derive(Debug)]
pub struct Output {
    receiver: Receiver,
    /// Given back at the end of the output, which lets containerd forget the process.
    in_use: Option<InUse>,
}

impl AsyncRead for Output {
    fn poll_read(mut self: Pin<&mut Self>, ctx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let n_before = buffer.filled().len();
        let read = Pin::new(&mut self.receiver).poll_read(ctx, buffer);
        let ended = match &read {
            Poll::Ready(Ok(())) => buffer.filled().len() == n_before && buffer.remaining() > 0,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if ended {
            self.in_use = None;
        }
        read
    }
}
