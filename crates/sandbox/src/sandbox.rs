//! One cluster on this machine: created, started, stopped, deleted.
//!
//! Every operation is level-triggered: it looks at what is there and does what
//! is missing, so it may be repeated after a failure, a kill or a reboot.
//! Invariant: whoever has a [`Sandbox`] holds the cluster's lock.
//!
//! Deliberately absent: what the API server and kubelets are. Their commands
//! come from the caller through [`Launch`], which is how this crate stays
//! independent of them.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::config::{ClusterConfig, NodeConfig, Nodes, number_nodes};
use crate::kubeconfig::{self, Access};
use crate::layout::{ClusterDir, Home, Name, make_private_dir};
use crate::lock::Lock;
use crate::machine::Machine;
use crate::network::{self, Cidr, Network};
use crate::node::{Node, Runtime};
use crate::pki::Pki;
use crate::process::{self, Daemon, ProcessId, wait_until};
use crate::{Error, Result, preflight};

/// Name of the API server's process in `log/` and `run/`.
pub const SERVER: &str = "server";
/// Name of a kubelet's process in its node's `log/` and `run/`.
pub const KUBELET: &str = "node";

/// Where API servers listen by default.
const API_PORT: u16 = 6443;
/// How long a command waits for another one on the same cluster.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);
/// How long a server may take to shut down; it writes nothing after SIGTERM that it has not promised.
const SERVER_GRACE: Duration = Duration::from_secs(10);

/// The nodes that a new cluster shall have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewNodes {
    /// With containers.
    Real(u32),
    /// Without.
    Simulated(u32),
}

/// The processes that are not this crate's, and when they are ready.
pub trait Launch: Sync {
    /// The API server. It runs in the root namespaces, with its log as stdout and stderr.
    fn server(&self, sandbox: &Sandbox) -> Result<Command>;

    /// Returns when the API server answers, or why it does not. `alive` says
    /// whether its process still runs; waiting on is useless when it does not.
    fn server_ready(&self, sandbox: &Sandbox, alive: &dyn Fn() -> bool) -> Result<()>;

    /// The kubelet of a node. It runs in the node's namespaces.
    fn kubelet(&self, sandbox: &Sandbox, node: &Node) -> Result<Command>;

    /// Is told about each step when it begins.
    fn step(&self, _what: &str) {}
}

/// What of a cluster runs at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The API server's process.
    pub server: Option<ProcessId>,
    /// Each real node.
    pub nodes: Vec<NodeStatus>,
}

/// What of a node runs at this moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its name and index.
    pub node: NodeConfig,
    /// Its kubelet.
    pub kubelet: Option<ProcessId>,
    /// Its containerd.
    pub containerd: Option<ProcessId>,
}

impl Status {
    /// Everything runs.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.server.is_some() && self.nodes.iter().all(|node| node.kubelet.is_some() && node.containerd.is_some())
    }

    /// Nothing runs.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.server.is_none() && self.nodes.iter().all(|node| node.kubelet.is_none() && node.containerd.is_none())
    }
}

/// A cluster, with its lock held.
#[derive(Debug)]
pub struct Sandbox {
    home: Home,
    config: ClusterConfig,
    dir: ClusterDir,
    machine: Machine,
    lock: Lock,
}

impl Sandbox {
    /// Creates a cluster that does not exist yet, and decides its addresses and
    /// port. Nothing is started.
    pub fn create(home: &Home, name: &Name, nodes: NewNodes) -> Result<Self> {
        match nodes {
            NewNodes::Real(_) => drop(preflight::real(home)?),
            NewNodes::Simulated(_) => preflight::simulated(home)?,
        }
        make_private_dir(home.path())?;
        let lock = Lock::take(&home.lock_file(name), LOCK_PATIENCE)?;
        let dir = home.cluster(name);
        if ClusterConfig::load(&dir)?.is_some() {
            return Err(Error::refused(format!(
                "cluster {name} exists: `shipmate start --name {name}` starts it, `shipmate delete --name {name}` removes it"
            )));
        }
        // The choice of addresses and ports looks at all clusters: one at a time.
        let _all = Lock::take(&home.path().join("create.lock"), LOCK_PATIENCE)?;
        let (ports, networks) = reserved(home)?;
        let nodes = match nodes {
            NewNodes::Real(count) => {
                let nodes = number_nodes(count)?;
                nodes.iter().try_for_each(|node| dir.node(&node.name).check_socket_length())?;
                Nodes::Real { nodes, network: network::choose(networks)? }
            }
            NewNodes::Simulated(count) => Nodes::Simulated { count },
        };
        let config = ClusterConfig::new(name.clone(), nodes, preflight::free_port(API_PORT, &ports)?);
        config.save(&dir)?;
        Ok(Self::new(home, config, dir, lock))
    }

    /// Opens a cluster; `None` if there is none of this name.
    pub fn open(home: &Home, name: &Name) -> Result<Option<Self>> {
        let dir = home.cluster(name);
        if !dir.path().exists() {
            return Ok(None);
        }
        let lock = Lock::take(&home.lock_file(name), LOCK_PATIENCE)?;
        match ClusterConfig::load(&dir)? {
            Some(config) => Ok(Some(Self::new(home, config, dir, lock))),
            None => {
                lock.discard()?;
                Ok(None)
            }
        }
    }

    fn new(home: &Home, config: ClusterConfig, dir: ClusterDir, lock: Lock) -> Self {
        Self { home: home.clone(), config, dir, machine: Machine::of(home), lock }
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &ClusterConfig {
        &self.config
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &ClusterDir {
        &self.dir
    }

    /// The certificates.
    #[must_use]
    pub fn pki(&self) -> Pki {
        Pki::of(&self.dir)
    }

    /// The real nodes.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        Node::all(&self.config, &self.dir, &self.machine)
    }

    /// What runs.
    #[must_use]
    pub fn status(&self) -> Status {
        status(&self.config, &self.dir)
    }

    /// Brings everything up that is not: certificates, network, containerd,
    /// server, kubelets. Returns when the server is ready and the kubelets have
    /// been started; nodes become Ready a moment later.
    pub fn ensure_running(&self, launch: &dyn Launch) -> Result<()> {
        let runtime = match self.config.nodes {
            Nodes::Real { .. } => Some(preflight::real(&self.home)?),
            Nodes::Simulated { .. } => {
                preflight::simulated(&self.home)?;
                None
            }
        };
        if ProcessId::running(&self.dir.pidfile(SERVER)).is_none() {
            preflight::port(self.config.api_port)?;
        }
        self.pki().ensure(&self.config)?;
        if let Some(network) = self.network() {
            launch.step("network");
            network.ensure()?;
        }
        // The server and each node's containerd start side by side.
        std::thread::scope(|scope| {
            launch.step("server and containerd");
            let server = scope.spawn(|| self.ensure_server(launch));
            let nodes: Vec<_> = self
                .nodes()
                .into_iter()
                .zip(std::iter::repeat(runtime.as_ref()))
                .map(|(node, runtime)| scope.spawn(move || ensure_runtime(&node, runtime)))
                .collect();
            let results: Vec<Result<()>> = std::iter::once(server).chain(nodes).map(join).collect();
            results.into_iter().collect::<Result<()>>()
        })?;
        launch.step("nodes");
        self.nodes().iter().try_for_each(|node| {
            let namespaces = node.ensure_namespaces()?;
            node.start(KUBELET, &namespaces, launch.kubelet(self, node)?).map(drop)
        })
    }

    /// Ends every process and takes the network down; objects, images and logs
    /// stay. Containers have `grace` to end by themselves.
    pub fn stop(&self, grace: Duration) -> Result<()> {
        std::thread::scope(|scope| {
            let nodes: Vec<_> = self
                .nodes()
                .into_iter()
                .map(|node| scope.spawn(move || node.stop(grace)))
                .collect();
            nodes.into_iter().map(join).collect::<Vec<_>>().into_iter().collect::<Result<()>>()
        })?;
        process::end(&self.dir.pidfile(SERVER), SERVER_GRACE)?;
        match self.network() {
            Some(network) => network.remove(),
            None => Ok(()),
        }
    }

    /// Removes the cluster: every process, mount, interface, namespace, nftables
    /// table, cgroup and file of it; and its entries in kubeconfig.
    pub fn delete(self, kubeconfigs: &[std::path::PathBuf]) -> Result<()> {
        self.stop(Duration::ZERO)?;
        kubeconfig::remove(kubeconfigs, self.config.name.as_str(), &self.owner())?;
        remove_tree(self.dir.path())?;
        let Self { home, machine, lock, .. } = self;
        lock.discard()?;
        if home.clusters()?.is_empty() && !(home.machine_file().exists() && network::any_cluster_present()?) {
            machine.undo()?;
            for dir in [home.path().join("create.lock"), home.path().join("clusters"), home.path().to_owned()] {
                // What others put there stays, and with it the directory.
                let _ = if dir.is_dir() { std::fs::remove_dir(&dir) } else { std::fs::remove_file(&dir) };
            }
        }
        Ok(())
    }

    /// Puts the cluster into kubeconfig as the current context; gives the file.
    pub fn write_kubeconfig(&self, files: &[std::path::PathBuf]) -> Result<std::path::PathBuf> {
        kubeconfig::merge(files, &self.access()?)
    }

    /// How an administrator reaches the cluster from this machine.
    pub fn access(&self) -> Result<Access> {
        let (certificate, key) = self.pki().admin().read()?;
        let (ca, _) = self.pki().ca().read()?;
        let server = format!("https://127.0.0.1:{}", self.config.api_port);
        Ok(Access { name: self.config.name.to_string(), server, ca, certificate, key, home: self.owner() })
    }

    fn owner(&self) -> String {
        self.dir.path().display().to_string()
    }

    fn network(&self) -> Option<Network> {
        Network::of(&self.config, &self.dir, self.machine.clone())
    }

    fn ensure_server(&self, launch: &dyn Launch) -> Result<()> {
        let (log, pidfile) = (self.dir.log(SERVER), self.dir.pidfile(SERVER));
        let id = match ProcessId::running(&pidfile) {
            Some(id) => id,
            None => {
                let daemon = Daemon { command: launch.server(self)?, log: &log, pidfile: &pidfile };
                daemon.start(|mut command| command.spawn())?
            }
        };
        launch.server_ready(self, &|| id.alive())
    }
}

/// What of a cluster runs, without its lock: a look while another command works on it.
pub fn look(home: &Home, name: &Name) -> Result<Option<(ClusterConfig, Status)>> {
    let dir = home.cluster(name);
    let config = ClusterConfig::load(&dir)?;
    Ok(config.map(|config| {
        let status = status(&config, &dir);
        (config, status)
    }))
}

fn status(config: &ClusterConfig, dir: &ClusterDir) -> Status {
    let nodes = config.real_nodes().iter().map(|node| {
        let running = |name| ProcessId::running(&dir.node(&node.name).pidfile(name));
        NodeStatus { node: node.clone(), kubelet: running(KUBELET), containerd: running("containerd") }
    });
    Status { server: ProcessId::running(&dir.pidfile(SERVER)), nodes: nodes.collect() }
}

fn ensure_runtime(node: &Node, runtime: Option<&Runtime>) -> Result<()> {
    let Some(runtime) = runtime else { return Ok(()) };
    let namespaces = node.ensure_namespaces()?;
    node.ensure_containerd(&namespaces, runtime)
}

fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Ports and networks of all clusters, running or not.
fn reserved(home: &Home) -> Result<(Vec<u16>, Vec<Cidr>)> {
    let (mut ports, mut networks) = (Vec::new(), Vec::new());
    for name in home.clusters()? {
        // A damaged cluster must not keep others from being created.
        if let Ok(Some(config)) = ClusterConfig::load(&home.cluster(&name)) {
            ports.push(config.api_port);
            networks.extend(config.network().into_iter().flat_map(|network| network.reserved()));
        }
    }
    Ok((ports, networks))
}

/// Removes a directory. Mounts of a node that has just ended may hold it for a moment.
fn remove_tree(path: &Path) -> Result<()> {
    let started = Instant::now();
    let mut last = None;
    let removed = wait_until(Duration::from_secs(5), || match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => {
            last = Some(error);
            false
        }
        Ok(()) => true,
    });
    match last {
        Some(error) if !removed => Err(Error::file("remove", path)(error)),
        _ => {
            tracing::debug!(path = %path.display(), elapsed = ?started.elapsed(), "removed");
            Ok(())
        }
    }
}
