//! What is known of a cluster for naming connections: pods, nodes, the nodes' tables, processes and sockets; and what has
//! still to be asked.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use doctor::owner::Holder;
use doctor::read::conntrack::Tuple;
use serde_json::Value;

use super::flows::{Flow, NodeFlows};
use super::join::{End, Origin, Seen, Server, Table};
use super::pods::Pod;
use super::sockets::{Process, Sockets};
use super::who::Who;
use super::workloads::Workloads;

/// Clocks of nodes were not compared: closer than this, a pod's own sockets are asked.
const CLOSE: i64 = 60;
/// So many entries are asked for one by one: beyond that, reading the whole table is no more work.
const EXACT: usize = 5000;
/// Annotations in which networks keep further addresses of a node.
const ANNOTATIONS: [&str; 8] = [
    "projectcalico.org/IPv4Address",
    "projectcalico.org/IPv6Address",
    "projectcalico.org/IPv4IPIPTunnelAddr",
    "projectcalico.org/IPv4VXLANTunnelAddr",
    "projectcalico.org/IPv6VXLANTunnelAddr",
    "network.cilium.io/ipv4-cilium-host",
    "network.cilium.io/ipv6-cilium-host",
    "flannel.alpha.coreos.com/public-ip",
];

/// What else the nodes have to be asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// Which process has these ends in a node's own network, by node.
    pub ends: BTreeMap<String, Vec<End>>,
    /// Which sockets these pods (by uid) have, by node.
    pub pods: BTreeMap<String, BTreeSet<String>>,
}

/// What is known of the cluster.
#[derive(Default)]
pub struct Cluster {
    pub(super) pods: Vec<Pod>,
    pub(super) by_address: HashMap<IpAddr, Vec<usize>>,
    /// Addresses of nodes, and their names.
    pub(super) nodes: HashMap<IpAddr, String>,
    /// Networks of the nodes' pods.
    pub(super) ranges: Vec<(IpAddr, u8, String)>,
    /// Who owns and scales what.
    pub workloads: Workloads,
    pub(super) table: Table,
    /// Nodes whose tables could not be read, and why.
    pub(super) unread: HashMap<String, String>,
    /// Processes in the nodes' own networks, by node and local end.
    pub(super) processes: HashMap<(String, End), Process>,
    /// Nodes whose processes were looked at.
    pub(super) looked: HashSet<String>,
    /// What pods' own kernels tell, by uid.
    pub(super) sockets: HashMap<String, Sockets>,
}

impl Cluster {
    /// From the API's objects.
    pub fn of(pods: &[Value], nodes: &[Value], workloads: Workloads) -> Self {
        let mut cluster = Self { workloads, ..Self::default() };
        for object in pods {
            let pod = Pod::of(object, &cluster.workloads);
            if let Some(address) = address(&object["status"]["hostIP"]) {
                cluster.nodes.insert(address, pod.holder.node.clone());
            }
            if !pod.holder.host_network {
                for address in &pod.holder.addresses {
                    let there = cluster.by_address.entry(*address).or_default();
                    if !there.contains(&cluster.pods.len()) {
                        there.push(cluster.pods.len());
                    }
                }
            }
            cluster.pods.push(pod);
        }
        for node in nodes {
            let name = node["metadata"]["name"].as_str().unwrap_or_default();
            let listed = node["status"]["addresses"].as_array().into_iter().flatten().map(|one| &one["address"]);
            let noted = ANNOTATIONS.iter().map(|key| &node["metadata"]["annotations"][*key]);
            for address in listed.chain(noted).filter_map(address) {
                cluster.nodes.entry(address).or_insert_with(|| name.to_owned());
            }
            let several = node["spec"]["podCIDRs"].as_array().into_iter().flatten();
            for range in several.chain([&node["spec"]["podCIDR"]]).filter_map(range) {
                cluster.ranges.push((range.0, range.1, name.to_owned()));
            }
        }
        cluster
    }

    /// Adds what the nodes' tables say of these ends.
    pub fn add_flows(&mut self, read: Vec<NodeFlows>, ends: &HashSet<End>) {
        self.unread.extend(self.table.add_nodes(read, ends));
    }

    /// Adds flows that were seen to begin.
    pub fn add_recorded(&mut self, flows: Vec<Flow>, ends: &HashSet<End>) {
        self.table.add(flows, ends);
    }

    /// The reply tuples under which tables may know these ends, if all ends of servers are known; and not too many.
    pub fn replies(&self, connections: &[(Seen, Server)], ends: &HashSet<End>) -> Option<Vec<Tuple>> {
        let mut replies = HashSet::new();
        for (seen, server) in connections {
            let (end, towards) = match self.table.origin(seen, server) {
                // What one table has translated, the one before it knows with both ends.
                Ok(origin) if !origin.hops.is_empty() => (origin.end, origin.called.into_iter().collect()),
                _ => (seen.client, server.ends()),
            };
            if ends.contains(&end) {
                if towards.is_empty() {
                    return None;
                }
                replies.extend(towards.into_iter().filter(|from| from.0.is_ipv4() == end.0.is_ipv4()).map(|from| {
                    Tuple { source: from.0, source_port: from.1, destination: end.0, destination_port: end.1 }
                }));
            }
        }
        (replies.len() <= EXACT).then(|| replies.into_iter().collect())
    }

    /// Those of these ends of which no table has told anything yet.
    pub fn unknown(&self, ends: &HashSet<End>) -> HashSet<End> {
        ends.iter().copied().filter(|end| !self.table.knows(*end)).collect()
    }

    /// Ends that other nodes' tables still have to be asked for: what came out of one translation may be the result of
    /// another.
    pub fn next_ends(&self, connections: &[(Seen, Server)]) -> HashSet<End> {
        let next = |(seen, server): &(Seen, Server)| {
            let origin = self.table.origin(seen, server).ok()?;
            let (node, last) = (self.nodes.get(&origin.end.0)?, origin.hops.last()?);
            (*node != last.node && !self.table.was_asked(origin.end)).then_some(origin.end)
        };
        connections.iter().filter_map(next).collect()
    }

    /// The node that has an address, or in whose pod network it is.
    pub fn node_of(&self, address: IpAddr) -> Option<&str> {
        let own = self.nodes.get(&address);
        let within = || self.ranges.iter().find(|(network, bits, _)| contains(*network, *bits, address));
        own.or_else(|| within().map(|(_, _, node)| node)).map(String::as_str)
    }

    /// Whether a pod has, or had, an address.
    pub fn is_pods(&self, address: IpAddr) -> bool {
        self.by_address.contains_key(&address)
    }

    /// Who has an address now.
    pub fn at(&self, address: IpAddr) -> Who {
        if let Some(pod) = self.at_address(address).filter(|pod| pod.lives()).max_by_key(|pod| pod.holder.since) {
            return self.named(pod, None);
        }
        match self.nodes.get(&address) {
            Some(node) => self.host(node.clone()),
            None => Who::Outside { address: address.to_string() },
        }
    }

    /// A pod by its name.
    pub fn pod(&self, namespace: &str, name: &str) -> Option<&Holder> {
        let pods = self.pods.iter().map(|pod| &pod.holder);
        let mut named = pods.filter(|pod| pod.namespace == namespace && pod.name == name);
        named.next()
    }

    pub(super) fn at_address(&self, address: IpAddr) -> impl Iterator<Item = &Pod> {
        self.by_address.get(&address).into_iter().flatten().map(|number| &self.pods[*number])
    }

    /// What else the nodes have to be asked to name these connections.
    pub fn questions(&self, connections: &[(Seen, Server)]) -> Questions {
        let mut questions = Questions::default();
        for (seen, server) in connections {
            if let Ok(origin) = self.origin(seen, server) {
                self.question(&origin, seen.since, &mut questions);
            }
        }
        questions
    }

    /// As [`Cluster::questions`], for flows of which nothing else is known.
    pub fn questions_of(&self, flows: &[Flow]) -> Questions {
        let mut questions = Questions::default();
        for flow in flows {
            self.question(&super::naming::own_origin(flow).0, None, &mut questions);
        }
        questions
    }

    fn question(&self, origin: &Origin, since: Option<i64>, questions: &mut Questions) {
        let mut ask = |pod: &Pod| {
            if pod.lives() && pod.plain && !pod.holder.host_network {
                questions.pods.entry(pod.holder.node.clone()).or_default().insert(pod.holder.uid.clone());
            }
        };
        if self.is_pods(origin.end.0) {
            let since = origin.hops.last().and_then(|flow| flow.began).or(since);
            let close =
                |pod: &&Pod| pod.holder.since.zip(since).is_none_or(|(began, since)| (began - since).abs() < CLOSE);
            self.at_address(origin.end.0).filter(close).for_each(ask);
        } else if let Some(node) = self.node_of(origin.end.0) {
            let answered = origin.hops.last().is_some_and(|flow| flow.node == node);
            if !answered && !self.unread.contains_key(node) {
                self.pods.iter().filter(|pod| pod.holder.node == node).for_each(&mut ask);
            }
            questions.ends.entry(node.to_owned()).or_default().push(origin.end);
        }
    }

    /// Adds the processes of a node.
    pub fn add_processes(&mut self, node: &str, processes: HashMap<End, Process>) {
        self.looked.insert(node.to_owned());
        self.processes.extend(processes.into_iter().map(|(end, process)| ((node.to_owned(), end), process)));
    }

    /// Adds the sockets of pods, by uid.
    pub fn add_sockets(&mut self, sockets: HashMap<String, Sockets>) {
        self.sockets.extend(sockets);
    }
}

/// An address, also one that is written with its network's length.
fn address(value: &Value) -> Option<IpAddr> {
    let text = value.as_str()?;
    Some(text.split('/').next()?.parse::<IpAddr>().ok()?.to_canonical())
}

fn range(value: &Value) -> Option<(IpAddr, u8)> {
    let (address, bits) = value.as_str()?.split_once('/')?;
    Some((address.parse().ok()?, bits.parse().ok()?))
}

fn contains(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let rest = 32u32.saturating_sub(bits.into());
            (network.to_bits() ^ address.to_bits()).checked_shr(rest).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let rest = 128u32.saturating_sub(bits.into());
            (network.to_bits() ^ address.to_bits()).checked_shr(rest).unwrap_or(0) == 0
        }
        _ => false,
    }
}
