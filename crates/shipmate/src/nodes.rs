//! Ways onto the nodes of a cluster: into a sandbox's namespaces, by the user's OpenSSH, or this machine itself.

use std::net::ToSocketAddrs as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use operate::access::{Access, AccessError, Feed, Job, Local, Ran, Socket, Ssh, Wire};
use operate::collect::api::Node;
use operate::kubeconfig::Chosen;
use sandbox::Cluster;
use sandbox::layout::{Home, Name, NodeDir};
use tokio::net::TcpStream;
use tokio::process::ChildStdin;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::cli::reach::Reach;

/// How long a connection may take to be there; kernels give up later than people.
const CONNECT: Duration = Duration::from_secs(15);

/// The sandbox that a context is of, if it is one of this machine.
pub(crate) fn sandbox_of(chosen: &Chosen) -> Option<Cluster> {
    let name: Name = chosen.context.parse().ok()?;
    let cluster = Cluster::find(&Home::from_env().ok()?, &name).ok()??;
    // A cluster elsewhere may have a context of the same name.
    let server = format!("https://127.0.0.1:{}/", cluster.config().api_port);
    (chosen.config.cluster_url == server.as_str()).then_some(cluster)
}

/// Ways onto the nodes of a sandbox; none if they are simulated.
pub(crate) fn of_sandbox(cluster: &Cluster) -> Vec<Arc<dyn Access>> {
    let way = |node| Arc::new(SandboxNode::new(cluster, node)) as Arc<dyn Access>;
    cluster.nodes().into_iter().map(way).collect()
}

/// Ways onto the nodes of any cluster, as the options say; none if they say nothing.
pub(crate) async fn of_cluster(reach: &Reach, nodes: &[Node]) -> Vec<Arc<dyn Access>> {
    let mut ways: Vec<Arc<dyn Access>> = Vec::new();
    for node in nodes {
        if reach.local.as_deref() == Some(&node.name) {
            ways.push(Arc::new(Local::new(&node.name)));
        } else if let Some(user) = &reach.ssh {
            let config = reach.ssh_config.as_deref();
            let destination = Ssh::destination(user, &node.name, node.address.as_deref(), config).await;
            let mut ssh = Ssh::new(&node.name, destination);
            if let Some(config) = config {
                ssh = ssh.with_config(config);
            }
            if reach.sudo {
                ssh = ssh.with_sudo();
            }
            ways.push(Arc::new(ssh));
        }
    }
    ways
}

/// A node of a sandbox, entered through its namespaces.
struct SandboxNode {
    cluster: Name,
    node: sandbox::node::Node,
    name: String,
    containerd_log: String,
    kubelet_log: String,
}

impl SandboxNode {
    fn new(cluster: &Cluster, node: sandbox::node::Node) -> Self {
        let log = |process| node.dir().log(process).display().to_string();
        Self {
            cluster: cluster.config().name.clone(),
            name: node.config().name.to_string(),
            containerd_log: log("containerd"),
            kubelet_log: log(sandbox::KUBELET),
            node,
        }
    }

    fn unreachable(&self, why: String) -> AccessError {
        AccessError::Unreachable { node: self.name.clone(), why }
    }
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
        let input: Feed = Box::new(std::io::Cursor::new(input.map(<[u8]>::to_vec).unwrap_or_default()));
        self.feed(program, arguments, input, limit).await
    }

    async fn feed(
        &self,
        program: &str,
        arguments: &[&str],
        mut input: Feed,
        limit: Duration,
    ) -> Result<Ran, AccessError> {
        let failed = |source| AccessError::Run { node: self.name.clone(), program: program.to_owned(), source };
        let namespaces = self.node.namespaces().map_err(|error| self.unreachable(error.chain()))?;
        let stopped =
            || self.unreachable(format!("it does not run: `shipmate start --name {}` starts it", self.cluster));
        let namespaces = namespaces.ok_or_else(stopped)?;
        let mut command = Command::new(program);
        command.args(arguments).env("LC_ALL", "C").env("CONTAINERD_NAMESPACE", cri::NAMESPACE).process_group(0);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Starting takes a thread that enters the namespaces and ends.
        let started = spawn_blocking(move || namespaces.spawn(command)).await.map_err(std::io::Error::other);
        let mut child = started.and_then(|spawned| spawned).map_err(failed)?;
        let mut killer = Killer { group: i32::try_from(child.id()).ok().map(Pid::from_raw) };
        let pipe = child.stdin.take().map(ChildStdin::from_std).transpose().map_err(failed)?;
        let feed = async move {
            // A program that does not read to the end says so by its exit code.
            if let Some(mut pipe) = pipe {
                drop(tokio::io::copy(&mut input, &mut pipe).await);
            }
        };
        let wait = spawn_blocking(move || child.wait_with_output());
        let ended = timeout(limit, async { tokio::join!(feed, wait) }).await;
        let output = match ended {
            Ok(((), output)) => output.map_err(std::io::Error::other).and_then(|output| output).map_err(failed)?,
            Err(_) => {
                return Err(AccessError::TooSlow { node: self.name.clone(), what: program.to_owned(), limit });
            }
        };
        killer.group = None;
        Ok(Ran { code: output.status.code(), stdout: output.stdout, stderr: output.stderr })
    }

    /// Within the node's namespaces: its resolver, its routes.
    async fn dial(&self, host: &str, port: u16) -> Result<Box<dyn Wire>, AccessError> {
        let address = format!("{host}:{port}");
        let failed = |why: String| AccessError::Dial { node: self.name.clone(), address: address.clone(), why };
        let namespaces = self.node.namespaces().map_err(|error| self.unreachable(error.chain()))?;
        let namespaces = namespaces.ok_or_else(|| self.unreachable("it does not run".to_owned()))?;
        let host = host.to_owned();
        let connecting = spawn_blocking(move || namespaces.run(|| Ok(connect(&host, port))));
        let stream = connecting.await.map_err(|error| failed(error.to_string()))?;
        let stream = stream.map_err(|error| failed(error.chain()))?;
        let stream = stream.and_then(TcpStream::from_std).map_err(|error| failed(error.to_string()))?;
        Ok(Box::new(stream))
    }

    async fn socket(&self, path: &str) -> Result<Socket, AccessError> {
        // The node's own /run lies elsewhere for whoever looks from outside.
        let inside = path.strip_prefix("/run/").or_else(|| path.strip_prefix("/var/run/"));
        let place = inside.map_or_else(|| PathBuf::from(path), |rest| self.node.dir().sys_run().join(rest));
        Ok(Socket::new(place, None))
    }

    async fn in_network(&self, work: Job) -> Result<(), AccessError> {
        let namespaces = self.node.namespaces().map_err(|error| self.unreachable(error.chain()))?;
        let namespaces = namespaces.ok_or_else(|| self.unreachable("it does not run".to_owned()))?;
        let inside = move || {
            namespaces.run(|| {
                work();
                Ok(())
            })
        };
        let done = spawn_blocking(inside).await.map_err(|error| self.unreachable(error.to_string()))?;
        done.map_err(|error| self.unreachable(error.chain()))
    }

    fn containerd_socket(&self) -> Option<&str> {
        Some(NodeDir::CRI_SOCKET_INSIDE)
    }

    fn log(&self, unit: &str) -> Option<&str> {
        match unit {
            "containerd" => Some(&self.containerd_log),
            "kubelet" => Some(&self.kubelet_log),
            _ => None,
        }
    }

    async fn restart(&self, unit: &str) -> Result<Ran, AccessError> {
        if unit != "containerd" {
            return Err(self.unreachable(format!("a sandbox has no unit {unit} to restart")));
        }
        let (cluster, name) = (self.cluster.clone(), self.name.clone());
        let restarted = spawn_blocking(move || -> sandbox::Result<()> {
            match sandbox::Sandbox::open(&Home::from_env()?, &cluster)? {
                Some(sandbox) => sandbox.restart_containerd(&name),
                None => Ok(()),
            }
        });
        let words = match restarted.await {
            Ok(Ok(())) => return Ok(Ran { code: Some(0), ..Ran::default() }),
            Ok(Err(error)) => error.chain(),
            Err(error) => error.to_string(),
        };
        Ok(Ran { code: Some(1), stderr: words.into_bytes(), ..Ran::default() })
    }
}

/// A connection from the namespaces that this thread is in.
fn connect(host: &str, port: u16) -> std::io::Result<std::net::TcpStream> {
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match std::net::TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_nonblocking(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Ends a group of processes that nobody waits for any more.
struct Killer {
    group: Option<Pid>,
}

impl Drop for Killer {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // It may have ended by itself meanwhile.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}
