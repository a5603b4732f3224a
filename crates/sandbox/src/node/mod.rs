//! One node on this machine: its namespaces, its containerd, its processes.
//!
//! Inside, a node looks like any machine with containerd: sockets, state and
//! logs are at their usual places, because the node's own directories are
//! mounted there. Nothing of that is visible outside the node.
//!
//! Invariant: every process of a node has [`MARK`] in its environment or is in
//! the node's cgroup, so that all of them can be found, however they were
//! started and whatever was killed. Deliberately absent: the kubelet, which the
//! caller starts with [`Node::start`].

mod configuration;
mod containerd;
mod files;
mod holder;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::cgroup;
use crate::config::{ClusterConfig, NodeConfig};
use crate::layout::{ClusterDir, NodeDir};
use crate::machine::Machine;
use crate::namespaces::NodeNamespaces;
use crate::network::{Names, NetworkConfig};
use crate::process::{self, Daemon, ProcessId, wait_until, with_environment};
use crate::{Error, Result};

pub use containerd::Runtime;

/// Environment variable that marks the processes of a node; its value is the
/// node's directory. containerd hands it on to its shims.
pub const MARK: &str = "SHIPMATE_NODE";

const HOLDER: &str = "holder";
const CONTAINERD: &str = "containerd";
const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// A node of a real cluster.
#[derive(Clone, Debug)]
pub struct Node {
    cluster: ClusterConfig,
    node: NodeConfig,
    network: NetworkConfig,
    dir: NodeDir,
    machine: Machine,
}

impl Node {
    /// Every node of a cluster; none if they are simulated.
    #[must_use]
    pub fn all(cluster: &ClusterConfig, dir: &ClusterDir) -> Vec<Self> {
        let Some(network) = cluster.network() else { return Vec::new() };
        let make = |node: &NodeConfig| Self {
            cluster: cluster.clone(),
            node: node.clone(),
            network: network.clone(),
            dir: dir.node(&node.name),
            machine: Machine::default(),
        };
        cluster.real_nodes().iter().map(make).collect()
    }

    /// Name and index.
    #[must_use]
    pub fn config(&self) -> &NodeConfig {
        &self.node
    }

    /// Its directory.
    #[must_use]
    pub fn dir(&self) -> &NodeDir {
        &self.dir
    }

    /// The cgroup under which all its pods are, with a leading slash and
    /// without a final one: the kubelet's cgroup root.
    #[must_use]
    pub fn cgroup(&self) -> String {
        format!("/kubepods-{}-{}", self.cluster.name, self.node.name)
    }

    /// Its namespaces; made if they do not exist. The network must exist.
    pub fn ensure_namespaces(&self) -> Result<NodeNamespaces> {
        holder::ensure(self)
    }

    /// Its namespaces, if it runs.
    pub fn namespaces(&self) -> Result<Option<NodeNamespaces>> {
        // Whoever is left can tell: pods live on when the holder was killed.
        for name in [HOLDER, CONTAINERD, "node"] {
            if let Some(process) = ProcessId::running(&self.dir.pidfile(name)) {
                return NodeNamespaces::of(&process).map(Some);
            }
        }
        Ok(None)
    }

    /// Starts containerd if it does not run, and waits until CRI answers.
    pub fn ensure_containerd(&self, namespaces: &NodeNamespaces, runtime: &Runtime) -> Result<()> {
        containerd::ensure(self, namespaces, runtime)
    }

    /// Ends containerd and starts it again, as after a change of its configuration. Containers go on meanwhile.
    ///
    /// # Errors
    /// When it does not serve the CRI afterwards; it may run nevertheless.
    pub fn restart_containerd(&self, namespaces: &NodeNamespaces, runtime: &Runtime) -> Result<()> {
        containerd::restart(self, namespaces, runtime)
    }

    /// Whether containerd runs.
    #[must_use]
    pub fn containerd(&self) -> Option<ProcessId> {
        ProcessId::running(&self.dir.pidfile(CONTAINERD))
    }

    /// Starts a background process inside the node, unless it runs already.
    /// Logs to `log/NAME.log`.
    pub fn start(&self, name: &str, namespaces: &NodeNamespaces, command: Command) -> Result<ProcessId> {
        let (log, pidfile) = (self.dir.log(name), self.dir.pidfile(name));
        if let Some(running) = ProcessId::running(&pidfile) {
            return Ok(running);
        }
        let daemon = Daemon { command: self.marked(command), log: &log, pidfile: &pidfile };
        daemon.start(|command| namespaces.spawn(command))
    }

    /// Ends every process of the node: first the kubelet, so that it starts
    /// nothing anew; then the containers, which have `grace` to end by
    /// themselves; then the rest. Files stay.
    pub fn stop(&self, grace: Duration) -> Result<()> {
        process::end(&self.dir.pidfile("node"), Duration::from_secs(2))?;
        let pods = || cgroup::processes(&self.cgroup());
        let programs = || pods().into_iter().filter(|process| !is_pause(process)).collect::<Vec<_>>();
        programs().iter().for_each(|process| process.signal(Signal::SIGTERM));
        if wait_until(grace, || programs().is_empty()) {
            pods().iter().for_each(|process| process.signal(Signal::SIGTERM));
            wait_until(KILL_TIMEOUT, || pods().is_empty());
        }
        // What containers printed last is on its way through containerd.
        if self.containerd().is_some() && pods().is_empty() {
            containerd::drain(self);
        }
        process::end(&self.dir.pidfile(CONTAINERD), Duration::from_secs(2))?;
        let left = || [pods(), with_environment(MARK, &self.mark())].concat();
        let ended = wait_until(KILL_TIMEOUT, || {
            let left = left();
            left.iter().for_each(|process| process.signal(Signal::SIGKILL));
            left.is_empty()
        });
        if !ended {
            let pids: Vec<_> = left().iter().map(|process| process.pid.to_string()).collect();
            return Err(Error::refused(format!(
                "processes {} of node {} do not end, even when killed: they wait for the kernel; \
                 see `cat /proc/PID/stack`, then try again",
                pids.join(", "),
                self.node.name
            )));
        }
        process::end(&self.dir.pidfile(HOLDER), Duration::ZERO)?;
        cgroup::remove(&self.cgroup())
    }

    fn marked(&self, mut command: Command) -> Command {
        command.env(MARK, self.mark());
        command
    }

    fn mark(&self) -> String {
        self.dir.path().display().to_string()
    }

    fn netns(&self) -> PathBuf {
        crate::network::netns::path(&Names::new(&self.cluster.name).netns(&self.node))
    }
}

/// Whether this is the first process of a pod. Where a pod's containers share one process namespace, they end with it.
fn is_pause(process: &ProcessId) -> bool {
    std::fs::read_link(format!("/proc/{}/exe", process.pid)).is_ok_and(|program| program == Path::new("/pause"))
}
