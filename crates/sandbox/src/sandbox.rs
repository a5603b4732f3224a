//! One cluster on this machine: created, started, stopped, deleted.
//!
//! Every operation is level-triggered: it looks at what is there and does what
//! is missing, so it may be repeated after a failure, a kill or a reboot.
//! Invariant: whoever has a [`Sandbox`] holds the cluster's lock.
//!
//! Deliberately absent: what the API server and kubelets are. Their commands
//! come from the caller through [`Launch`], which is how this crate stays
//! independent of them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::config::{ClusterConfig, NodeConfig, Nodes, number_nodes};
use crate::kubeconfig::{self, Access};
use crate::layout::{ClusterDir, Home, Name, make_private_dir};
use crate::lock::Lock;
use crate::machine::Machine;
use crate::network::{self, Cidr, Network, NetworkConfig};
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
    fn server(&self, cluster: &Cluster) -> Result<Command>;

    /// Returns when the API server answers, or why it does not. `alive` says
    /// whether its process still runs; waiting on is useless when it does not.
    fn server_ready(&self, cluster: &Cluster, alive: &dyn Fn() -> bool) -> Result<()>;

    /// The kubelet of a node. It runs in the node's namespaces.
    fn kubelet(&self, cluster: &Cluster, node: &Node) -> Result<Command>;

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

/// A cluster as it is on disk, for looking at it and using it.
#[derive(Clone, Debug)]
pub struct Cluster {
    config: ClusterConfig,
    dir: ClusterDir,
}

impl Cluster {
    /// Finds a cluster; `None` if there is none of this name.
    pub fn find(home: &Home, name: &Name) -> Result<Option<Self>> {
        let dir = home.cluster(name);
        Ok(ClusterConfig::load(&dir)?.map(|config| Self { config, dir }))
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
        Node::all(&self.config, &self.dir)
    }

    /// What runs.
    #[must_use]
    pub fn status(&self) -> Status {
        let nodes = self.config.real_nodes().iter().map(|node| {
            let running = |name| ProcessId::running(&self.dir.node(&node.name).pidfile(name));
            NodeStatus { node: node.clone(), kubelet: running(KUBELET), containerd: running("containerd") }
        });
        Status { server: ProcessId::running(&self.dir.pidfile(SERVER)), nodes: nodes.collect() }
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
        Network::of(&self.config, &self.dir)
    }
}

/// A cluster, with its lock held: for changing it.
#[derive(Debug)]
pub struct Sandbox {
    home: Home,
    cluster: Cluster,
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
        let _all = Lock::take(&home.create_lock(), LOCK_PATIENCE)?;
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
        Ok(Self { home: home.clone(), cluster: Cluster { config, dir }, lock })
    }

    /// Opens a cluster; `None` if there is none of this name.
    pub fn open(home: &Home, name: &Name) -> Result<Option<Self>> {
        Self::open_with(home, name, ClusterConfig::load)
    }

    /// As [`Sandbox::open`], also for a cluster whose configuration is damaged or
    /// missing: enough of it is guessed to find everything that has to go.
    pub fn open_to_delete(home: &Home, name: &Name) -> Result<Option<Self>> {
        Self::open_with(home, name, |dir| match ClusterConfig::load(dir) {
            Ok(Some(config)) => Ok(Some(config)),
            Err(_) | Ok(None) if dir.path().exists() => guess(name, dir).map(Some),
            other => other,
        })
    }

    fn open_with(
        home: &Home,
        name: &Name,
        load: impl FnOnce(&ClusterDir) -> Result<Option<ClusterConfig>>,
    ) -> Result<Option<Self>> {
        let dir = home.cluster(name);
        if !dir.path().exists() {
            return Ok(None);
        }
        let lock = Lock::take(&home.lock_file(name), LOCK_PATIENCE)?;
        match load(&dir)? {
            Some(config) => Ok(Some(Self { home: home.clone(), cluster: Cluster { config, dir }, lock })),
            None => {
                lock.discard()?;
                Ok(None)
            }
        }
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Brings everything up that is not: certificates, network, containerd,
    /// server, kubelets. Returns when the server is ready and the kubelets have
    /// been started; nodes become Ready a moment later.
    pub fn ensure_running(&self, launch: &dyn Launch) -> Result<()> {
        let Cluster { config, dir } = &self.cluster;
        let runtime = match config.nodes {
            Nodes::Real { .. } => Some(preflight::real(&self.home)?),
            Nodes::Simulated { .. } => {
                preflight::simulated(&self.home)?;
                None
            }
        };
        if ProcessId::running(&dir.pidfile(SERVER)).is_none() {
            preflight::port(config.api_port)?;
        }
        self.cluster.pki().ensure(config)?;
        if let Some(network) = self.cluster.network() {
            launch.step("network");
            network.ensure()?;
        }
        launch.step("server and containerd");
        let nodes = self.cluster.nodes();
        std::thread::scope(|scope| {
            let server = scope.spawn(|| self.ensure_server(launch));
            let runtime = runtime.as_ref();
            let runtimes = nodes.iter().map(|node| scope.spawn(move || ensure_runtime(node, runtime)));
            let threads: Vec<_> = std::iter::once(server).chain(runtimes).collect();
            join_all(threads)
        })?;
        launch.step("nodes");
        nodes.iter().try_for_each(|node| {
            let namespaces = node.ensure_namespaces()?;
            node.start(KUBELET, &namespaces, launch.kubelet(&self.cluster, node)?).map(drop)
        })
    }

    /// Restarts the containerd of a node that runs.
    ///
    /// # Errors
    /// When there is no such node, it does not run, or its containerd does not serve the CRI afterwards.
    pub fn restart_containerd(&self, node: &str) -> Result<()> {
        let nodes = self.cluster.nodes();
        let missing = || Error::refused(format!("there is no node {node}: `kubectl get nodes` lists them"));
        let node = nodes.iter().find(|found| found.config().name.as_str() == node).ok_or_else(missing)?;
        let stopped = || Error::refused(format!("node {} does not run", node.config().name));
        let namespaces = node.namespaces()?.ok_or_else(stopped)?;
        node.restart_containerd(&namespaces, &preflight::real(&self.home)?)
    }

    /// Ends every process and takes the network down; objects, images and logs
    /// stay. Containers have `grace` to end by themselves.
    pub fn stop(&self, grace: Duration) -> Result<()> {
        let nodes = self.cluster.nodes();
        std::thread::scope(|scope| join_all(nodes.iter().map(|node| scope.spawn(move || node.stop(grace))).collect()))?;
        process::end(&self.cluster.dir.pidfile(SERVER), SERVER_GRACE)?;
        match self.cluster.network() {
            Some(network) => network.remove(),
            None => Ok(()),
        }
    }

    /// Removes the cluster: every process, mount, interface, namespace, nftables
    /// table, cgroup and file of it; and its entries in kubeconfig.
    pub fn delete(self, kubeconfigs: &[PathBuf]) -> Result<()> {
        self.stop(Duration::ZERO)?;
        let Self { home, cluster, lock } = self;
        // A kubeconfig that cannot be edited must not keep the rest alive.
        let forgotten = kubeconfig::remove(kubeconfigs, cluster.config.name.as_str(), &cluster.owner());
        remove_tree(cluster.dir.path())?;
        lock.discard()?;
        if cluster.network().is_some() {
            Machine::default().undo(network::any_cluster_present)?;
        }
        if home.clusters()?.is_empty() {
            // What others put there stays, and with it the directory.
            let _ = std::fs::remove_file(home.create_lock());
            let _ = std::fs::remove_dir(home.path().join("clusters"));
            let _ = std::fs::remove_dir(home.path());
        }
        forgotten.map(drop)
    }

    /// Puts the cluster into kubeconfig as the current context; gives the file.
    pub fn write_kubeconfig(&self, files: &[PathBuf]) -> Result<PathBuf> {
        kubeconfig::merge(files, &self.cluster.access()?)
    }

    fn ensure_server(&self, launch: &dyn Launch) -> Result<()> {
        let dir = &self.cluster.dir;
        let (log, pidfile) = (dir.log(SERVER), dir.pidfile(SERVER));
        let id = match ProcessId::running(&pidfile) {
            Some(id) => id,
            None => {
                let daemon = Daemon { command: launch.server(&self.cluster)?, log: &log, pidfile: &pidfile };
                daemon.start(|mut command| command.spawn())?
            }
        };
        launch.server_ready(&self.cluster, &|| id.alive())
    }
}

/// A configuration with the nodes that have a directory.
fn guess(name: &Name, dir: &ClusterDir) -> Result<ClusterConfig> {
    let listing = std::fs::read_dir(dir.path().join("nodes")).into_iter().flatten();
    let names = listing.filter_map(|item| item.ok()?.file_name().to_str()?.parse::<Name>().ok());
    let nodes: Vec<NodeConfig> = names.zip(1..).map(|(name, index)| NodeConfig { name, index }).collect();
    let nodes = match nodes.is_empty() {
        true => Nodes::Simulated { count: 0 },
        false => Nodes::Real { nodes, network: NetworkConfig::choose(&[])? },
    };
    Ok(ClusterConfig::new(name.clone(), nodes, 0))
}

fn ensure_runtime(node: &Node, runtime: Option<&Runtime>) -> Result<()> {
    let Some(runtime) = runtime else { return Ok(()) };
    let namespaces = node.ensure_namespaces()?;
    node.ensure_containerd(&namespaces, runtime)
}

/// Waits for all, also when one fails; gives the first failure.
fn join_all(threads: Vec<std::thread::ScopedJoinHandle<'_, Result<()>>>) -> Result<()> {
    let join = |thread: std::thread::ScopedJoinHandle<'_, Result<()>>| {
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    };
    let results: Vec<_> = threads.into_iter().map(join).collect();
    results.into_iter().collect()
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
    let mut last = None;
    let removed = wait_until(Duration::from_secs(5), || match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            last = Some(error);
            false
        }
        _ => true,
    });
    match last {
        Some(error) if !removed => Err(Error::file("remove", path)(error)),
        _ => Ok(()),
    }
}
