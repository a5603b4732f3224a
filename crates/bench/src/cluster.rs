//! A cluster of a benchmark's own: its own directory, kubeconfig and name, gone when it is dropped.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use sandbox::layout::{Home, Name};
use tempfile::TempDir;

use crate::resources::memory;

/// How often the memory of a process is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Clusters of one run have different names, so that one that was not deleted disturbs no later one.
static NUMBER: AtomicU32 = AtomicU32::new(1);

/// A cluster that does not exist until it is started.
pub(crate) struct Cluster {
    shipmate: PathBuf,
    name: Name,
    nodes: &'static str,
    home: TempDir,
}

/// Processes of a cluster.
pub(crate) struct Processes {
    pub(crate) server: i32,
    /// The first node's own process; none when nodes are simulated.
    pub(crate) node: Option<i32>,
    /// The first node's containerd.
    pub(crate) containerd: Option<i32>,
}

impl Cluster {
    /// `nodes` as `shipmate start --nodes` takes them.
    pub(crate) fn new(shipmate: &Path, nodes: &'static str) -> anyhow::Result<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("bench-{}-{number}", std::process::id()).parse()?;
        // On a disk, which /tmp often is not; and short, for sockets are in it.
        let home = tempfile::Builder::new().prefix("sb-").tempdir_in("/var/tmp").context("make a directory")?;
        Ok(Self { shipmate: shipmate.to_owned(), name, nodes, home })
    }

    /// The directory that everything of the cluster is in.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Starts it and waits, as the command does, until its nodes are Ready; how long that took.
    pub(crate) fn start(&self) -> anyhow::Result<Duration> {
        self.shipmate(&["start", "--name", self.name.as_str(), "--nodes", self.nodes])
    }

    /// Stops it.
    pub(crate) fn stop(&self) -> anyhow::Result<Duration> {
        self.shipmate(&["stop", "--name", self.name.as_str()])
    }

    fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("kubeconfig")
    }

    fn shipmate(&self, arguments: &[&str]) -> anyhow::Result<Duration> {
        let mut command = Command::new(&self.shipmate);
        command.args(arguments).env("SHIPMATE_HOME", self.home.path());
        self.run(command)
    }

    /// Runs kubectl on the cluster; how long it took, and what it printed.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<(Duration, String)> {
        let mut command = Command::new("kubectl");
        // kubectl keeps what it discovered below HOME.
        command.args(arguments).env("HOME", self.home.path()).env("KUBECONFIG", self.kubeconfig());
        let started = Instant::now();
        let output = command.stderr(Stdio::inherit()).output().context("run kubectl")?;
        let took = started.elapsed();
        if !output.status.success() {
            bail!("kubectl {} failed", arguments.join(" "));
        }
        Ok((took, String::from_utf8(output.stdout).context("kubectl printed something else than text")?))
    }

    /// Lets the doctor look at the cluster; how long that took, and its memory at most in bytes.
    pub(crate) fn doctor(&self) -> anyhow::Result<(Duration, u64)> {
        let mut command = Command::new(&self.shipmate);
        command.arg("doctor").env("SHIPMATE_HOME", self.home.path()).env("KUBECONFIG", self.kubeconfig());
        let started = Instant::now();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let pid = i32::try_from(child.id()).context("a process id is small")?;
        let mut peak = 0;
        loop {
            // Gone between the two looks: what was seen last counts.
            peak = memory(pid).map_or(peak, |now| peak.max(now.peak));
            if let Some(status) = child.try_wait()? {
                let took = started.elapsed();
                if !status.success() {
                    bail!("the doctor did not find the cluster healthy: {status}");
                }
                return Ok((took, peak));
            }
            std::thread::sleep(LOOK);
        }
    }

    fn run(&self, mut command: Command) -> anyhow::Result<Duration> {
        command.env("KUBECONFIG", self.kubeconfig()).stdin(Stdio::null()).stdout(Stdio::null());
        let started = Instant::now();
        let output = command.stderr(Stdio::piped()).output().context("run shipmate")?;
        let took = started.elapsed();
        if !output.status.success() {
            bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(took)
    }

    /// A client as the cluster's administrator.
    pub(crate) async fn client(&self) -> anyhow::Result<kube::Client> {
        let kubeconfig = Kubeconfig::read_from(self.kubeconfig())?;
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        Ok(kube::Client::try_from(config)?)
    }

    fn found(&self) -> anyhow::Result<sandbox::Cluster> {
        sandbox::Cluster::find(&Home::at(self.home.path()), &self.name)?.context("the cluster is gone")
    }

    /// The processes that run.
    pub(crate) fn processes(&self) -> anyhow::Result<Processes> {
        let status = self.found()?.status();
        let node = status.nodes.first();
        Ok(Processes {
            server: status.server.context("the server does not run")?.pid,
            node: node.and_then(|node| Some(node.kubelet.as_ref()?.pid)),
            containerd: node.and_then(|node| Some(node.containerd.as_ref()?.pid)),
        })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Runs the program on the cluster; how long that took, and what it printed.
    pub(crate) fn output(&self, arguments: &[&str]) -> anyhow::Result<(Duration, String)> {
        let mut command = Command::new(&self.shipmate);
        command.args(arguments).env("SHIPMATE_HOME", self.home.path()).env("KUBECONFIG", self.kubeconfig());
        let started = Instant::now();
        let output = command.stdin(Stdio::null()).stderr(Stdio::piped()).output().context("run shipmate")?;
        let took = started.elapsed();
        if !output.status.success() {
            bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok((took, String::from_utf8(output.stdout).context("shipmate printed something else than text")?))
    }

    /// All real nodes.
    pub(crate) fn nodes(&self) -> anyhow::Result<Vec<sandbox::node::Node>> {
        Ok(self.found()?.nodes())
    }

    /// The first real node.
    pub(crate) fn node(&self) -> anyhow::Result<sandbox::node::Node> {
        self.found()?.nodes().into_iter().next().context("the cluster has no real node")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if matches!(self.found(), Ok(found) if found.dir().path().exists())
            && let Err(error) = self.shipmate(&["delete", "--name", self.name.as_str()])
        {
            eprintln!("cluster {} in {} is not deleted: {error:#}", self.name, self.home.path().display());
        }
    }
}
