//! The network of a cluster on this machine.
//!
//! ```text
//! root network namespace            network namespace of node N
//! ┌──────────────────────┐          ┌───────────────────────────┐
//! │ bridge smHASH  .1    ├─ smHASH-N ── eth0  .10+N             │
//! │ routes to pods via N │   veth   │ cni0  pods 10.244.N.0/24  │
//! │ nft shipmate-CLUSTER │          │                           │
//! └──────────────────────┘          └───────────────────────────┘
//! ```
//!
//! Invariant: [`Network::ensure`] may run at any time, and repairs what is
//! missing; [`Network::remove`] takes away everything it made, and nothing that
//! belongs to anybody else. Deliberately absent: services (the node's proxy),
//! the bridge for pods (its CNI plugin), IPv6.

mod cidr;
mod netlink;
pub mod netns;
mod nft;
mod plan;

use std::fs;
use std::path::Path;

pub use cidr::Cidr;
pub use plan::{Names, NetworkConfig};

use crate::config::{ClusterConfig, NodeConfig};
use crate::layout::ClusterDir;
use crate::machine::Machine;
use crate::{Error, Result};
use netlink::{Link, Netlink};

/// What the `ifalias` of every bridge of ours begins with.
const OWNER: &str = "shipmate:";

/// The network of one cluster.
#[derive(Clone, Debug)]
pub struct Network {
    names: Names,
    network: NetworkConfig,
    nodes: Vec<NodeConfig>,
    machine: Machine,
    owner: String,
}

impl Network {
    /// The network of a cluster; `None` if its nodes are simulated.
    #[must_use]
    pub fn of(config: &ClusterConfig, dir: &ClusterDir) -> Option<Self> {
        Some(Self {
            names: Names::new(&config.name),
            network: config.network()?.clone(),
            nodes: config.real_nodes().to_vec(),
            machine: Machine::default(),
            owner: format!("{OWNER}{}", dir.path().display()),
        })
    }

    /// Names of its parts.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Makes what is missing and repairs what differs.
    pub fn ensure(&self) -> Result<()> {
        load_bridge_filter();
        netns::within(None, || {
            let netlink = Netlink::open()?;
            let bridge = self.ensure_bridge(&netlink)?;
            self.machine.forward_ipv4()?;
            self.nodes.iter().try_for_each(|node| self.ensure_node(&netlink, &bridge, node))?;
            nft::ensure_root(&self.names, &self.network)?;
            nft::ensure_exceptions(&self.names)
        })
    }

    /// Removes everything. Processes in the nodes' namespaces must have ended before.
    pub fn remove(&self) -> Result<()> {
        netns::within(None, || {
            let netlink = Netlink::open()?;
            let bridge = self.names.bridge();
            let ports = format!("{bridge}-");
            for link in netlink.links()? {
                let ours = link.name == bridge && link.alias.as_deref() == Some(self.owner.as_str());
                if !(ours || link.name.starts_with(&ports)) {
                    continue;
                }
                // A namespace that has just ended may take its end of a pair away meanwhile.
                if let Err(error) = netlink.delete_link(&link)
                    && netlink.link(&link.name)?.is_some()
                {
                    return Err(error);
                }
            }
            nft::remove_exceptions(&self.names)?;
            nft::remove_root(&self.names)
        })?;
        self.nodes.iter().try_for_each(|node| netns::delete(&self.names.netns(node)))
    }

    /// Whether the node's network namespace exists.
    #[must_use]
    pub fn has_node(&self, node: &NodeConfig) -> bool {
        netns::open(&self.names.netns(node)).is_some()
    }

    fn ensure_bridge(&self, netlink: &Netlink) -> Result<Link> {
        let name = self.names.bridge();
        let bridge = match netlink.link(&name)? {
            Some(link) if link.alias.as_deref() == Some(self.owner.as_str()) => link,
            Some(link) => {
                let owner = link.alias.as_deref().and_then(|alias| alias.strip_prefix(OWNER));
                return Err(Error::refused(format!(
                    "network interface {name} belongs to {}: choose another name for this cluster",
                    owner.unwrap_or("another program")
                )));
            }
            None => netlink.add_bridge(&name, self.names.bridge_mac(), &self.owner)?,
        };
        netlink.set_address(&bridge, self.network.gateway(), self.network.node_cidr.prefix())?;
        netlink.set_up(&bridge)?;
        Ok(bridge)
    }

    fn ensure_node(&self, netlink: &Netlink, bridge: &Link, node: &NodeConfig) -> Result<()> {
        let (netns, veth) = (self.names.netns(node), self.names.veth(node));
        let mut link = netlink.link(&veth)?;
        let namespace = match netns::open(&netns) {
            Some(namespace) => namespace,
            None => {
                // The pair's other end is in a namespace that has lost its name.
                if let Some(stale) = link.take() {
                    netlink.delete_link(&stale)?;
                }
                netns::add(&netns, &self.machine)?
            }
        };
        match link {
            Some(link) => netlink.attach(&link, bridge)?,
            None => netlink.add_veth(&veth, bridge, &namespace)?,
        }
        netns::within(Some(&namespace), || self.configure_node(node))?;
        netlink.set_route(Some(self.network.node_pods(node)), self.network.node_ip(node))
    }

    /// Runs in the node's network namespace.
    fn configure_node(&self, node: &NodeConfig) -> Result<()> {
        let netlink = Netlink::open()?;
        let lo = netlink.required("lo")?;
        netlink.set_up(&lo)?;
        // Each node answers its pods' questions itself, at the address that they all know.
        netlink.set_address(&lo, self.network.dns_service(), 32)?;
        let eth0 = netlink.required("eth0")?;
        netlink.set_address(&eth0, self.network.node_ip(node), self.network.node_cidr.prefix())?;
        netlink.set_up(&eth0)?;
        netlink.set_route(None, self.network.gateway())?;
        for other in self.nodes.iter().filter(|other| other.index != node.index) {
            netlink.set_route(Some(self.network.node_pods(other)), self.network.node_ip(other))?;
        }
        set("net/ipv4/ip_forward", "1")?;
        // Without it, a service whose endpoint is on the same node does not answer.
        set("net/bridge/bridge-nf-call-iptables", "1")?;
        // Start times of connections, for tracing them to pods.
        set("net/netfilter/nf_conntrack_timestamp", "1")
    }
}

/// Networks of a new cluster: free on this machine and not another cluster's.
pub fn choose(reserved: impl IntoIterator<Item = Cidr>) -> Result<NetworkConfig> {
    let mut taken = netns::within(None, || Netlink::open()?.used_networks())?;
    taken.extend(reserved);
    NetworkConfig::choose(&taken)
}

/// Whether the bridge of any cluster exists, of whatever home.
pub(crate) fn any_cluster_present() -> Result<bool> {
    let links = netns::within(None, || Netlink::open()?.links())?;
    let ours = |link: &Link| link.alias.as_ref().is_some_and(|alias| alias.starts_with(OWNER));
    Ok(links.iter().any(|link| link.is_bridge && ours(link)))
}

/// Sets a kernel parameter of the thread's network namespace; one that this
/// kernel does not have is left out.
fn set(name: &str, value: &str) -> Result<()> {
    let path = Path::new("/proc/sys").join(name);
    match fs::read_to_string(&path) {
        Ok(present) if present.trim() == value => Ok(()),
        Ok(_) => fs::write(&path, value).map_err(Error::file("write", &path)),
        Err(_) => Ok(()),
    }
}

/// Kernels with modules have this one only after somebody asked for it.
fn load_bridge_filter() {
    if !Path::new("/proc/sys/net/bridge").is_dir() {
        let _ = crate::command::run("modprobe", &["br_netfilter"], "");
    }
}
