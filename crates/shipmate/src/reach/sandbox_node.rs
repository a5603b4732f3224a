//! A node of a sandbox: programs run in its namespaces, where its files are at their usual places.

use std::io;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use operate::access::{Access, AccessError, Feed, Ran, Socket, Wire};
use sandbox::layout::NodeDir;
use sandbox::namespaces::NodeNamespaces;
use sandbox::node::Node;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::commands::NotRunning;

/// How long a connection may take to be there.
const CONNECT: Duration = Duration::from_secs(15);

/// A running node of a sandbox.
pub(crate) struct SandboxNode {
    name: String,
    socket: PathBuf,
    namespaces: Arc<NodeNamespaces>,
}

impl SandboxNode {
    pub(crate) fn new(node: Node) -> anyhow::Result<Self> {
        let name = node.config().name.clone();
        let namespaces = node.namespaces().with_context(|| format!("node {name}"))?;
        let namespaces = namespaces.ok_or_else(|| NotRunning::Stopped(name.clone()))?;
        Ok(Self { name: name.to_string(), socket: node.dir().cri_socket(), namespaces: Arc::new(namespaces) })
    }

    async fn finish(
        &self,
        program: &str,
        arguments: &[&str],
        input: Option<Feed>,
        limit: Duration,
    ) -> Result<Ran, AccessError> {
        let failed =
            |source: io::Error| AccessError::Run { node: self.name.clone(), program: program.to_owned(), source };
        let mut command = Command::new(program);
        command.args(arguments).env("LC_ALL", "C").stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = self.namespaces.spawn(command).map_err(failed)?;
        let stdin = child.stdin.take().map(tokio::process::ChildStdin::from_std).transpose().map_err(failed)?;
        let stdout = child.stdout.take().map(tokio::process::ChildStdout::from_std).transpose().map_err(failed)?;
        let stderr = child.stderr.take().map(tokio::process::ChildStderr::from_std).transpose().map_err(failed)?;
        let mut guard = KillUnlessEnded(i32::try_from(child.id()).ok());
        let feed = async move {
            if let (Some(mut stdin), Some(mut input)) = (stdin, input) {
                // A program that does not read to the end says so by its exit code.
                drop(tokio::io::copy(&mut input, &mut stdin).await);
                drop(stdin.shutdown().await);
            }
        };
        let wait = tokio::task::spawn_blocking(move || child.wait());
        let all = async { tokio::join!(feed, read(stdout), read(stderr), wait) };
        let Ok(((), stdout, stderr, status)) = tokio::time::timeout(limit, all).await else {
            // Killed as the guard goes; the thread that waits for it ends then.
            return Err(AccessError::TooSlow { node: self.name.clone(), what: program.to_owned(), limit });
        };
        guard.0 = None;
        let status = status.map_err(io::Error::other).and_then(|status| status).map_err(failed)?;
        Ok(Ran { code: status.code(), stdout, stderr })
    }
}

/// Kills a process, unless it was seen to end.
struct KillUnlessEnded(Option<i32>);

impl Drop for KillUnlessEnded {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // It may have ended a moment ago.
            drop(kill(Pid::from_raw(pid), Signal::SIGKILL));
        }
    }
}

async fn read(pipe: Option<impl tokio::io::AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What came before an error is what there is.
        drop(pipe.read_to_end(&mut bytes).await);
    }
    bytes
}

#[async_trait::async_trait]
impl Access for SandboxNode {
    fn node(&self) -> &str {
        &self.name
    }

    async fn run(
        &self,
        program: &str,
        arguments: &[&str],
        input: Option<&[u8]>,
        limit: Duration,
    ) -> Result<Ran, AccessError> {
        let input = input.map(|bytes| Box::new(io::Cursor::new(bytes.to_vec())) as Feed);
        self.finish(program, arguments, input, limit).await
    }

    async fn feed(&self, program: &str, arguments: &[&str], input: Feed, limit: Duration) -> Result<Ran, AccessError> {
        self.finish(program, arguments, Some(input), limit).await
    }

    /// Within the node's namespaces: its resolver, its routes.
    async fn dial(&self, host: &str, port: u16) -> Result<Box<dyn Wire>, AccessError> {
        let address = format!("{host}:{port}");
        let failed = |why: String| AccessError::Dial { node: self.name.clone(), address: address.clone(), why };
        let (namespaces, host) = (self.namespaces.clone(), host.to_owned());
        let connecting = tokio::task::spawn_blocking(move || {
            namespaces.run(|| Ok(connect(&host, port))).map_err(|error| error.to_string())
        });
        let stream = connecting.await.map_err(|error| failed(error.to_string()))?.map_err(failed)?;
        let stream = stream.map_err(|error| failed(error.to_string()))?;
        let stream = tokio::net::TcpStream::from_std(stream).map_err(|error| failed(error.to_string()))?;
        Ok(Box::new(stream))
    }

    async fn socket(&self, path: &str) -> Result<Socket, AccessError> {
        if path == NodeDir::CRI_SOCKET_INSIDE {
            return Ok(Socket::new(self.socket.clone(), None));
        }
        Err(AccessError::Unsupported { node: self.name.clone(), what: "reach other sockets than containerd's" })
    }

    fn containerd_socket(&self) -> Option<&str> {
        Some(NodeDir::CRI_SOCKET_INSIDE)
    }
}

fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_nonblocking(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
