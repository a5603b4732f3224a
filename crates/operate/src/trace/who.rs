//! Names the holder of each connection, or says why it can't.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use doctor::owner::{Connection, Holder, Network, Owner};
use doctor::read::conntrack::{Flow, Seen, Tuple};
use serde::Serialize;
use serde_json::Value;

use super::flows::NodeFlows;
use super::sockets::Process;
use super::workloads::{Workload, Workloads};

/// Who holds a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Who {
    /// A pod.
    Pod {
        /// Namespace.
        namespace: String,
        /// Name.
        pod: String,
        /// Its container, where it has only one.
        container: Option<String>,
        /// Its node.
        node: String,
        /// What it belongs to.
        workload: Workload,
        /// Its own address and port of this connection.
        socket: Option<String>,
        /// Whether it passes on connections of others.
        pooler: bool,
    },
    /// A process in a node's own network.
    Host {
        /// The node.
        node: String,
        /// Pods that use that network: it may be one of them, where the process is not known.
        candidates: Vec<String>,
        /// Its name and id, where they are known: then it is no pod's.
        process: Option<String>,
    },
    /// A local socket of the server's own machine.
    Local,
    /// This very program.
    Trace,
    /// No pod and no node of this cluster.
    Outside {
        /// The address that the server sees.
        address: String,
    },
    /// It can't be told.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// What is known of the cluster.
#[derive(Default)]
pub struct Cluster {
    network: Network,
    /// Beside each of the network's pods.
    pods: Vec<Beside>,
    /// Who owns and scales what.
    pub workloads: Workloads,
    /// Nodes whose tables could not be read, and why.
    unread: HashMap<String, String>,
    /// Processes in the nodes' own networks, by node and local end.
    processes: HashMap<(String, IpAddr, u16), Process>,
}

/// What else is known of a pod.
#[derive(Default)]
struct Beside {
    /// What it belongs to.
    workload: Workload,
    /// Its container, where it has only one.
    only: Option<String>,
    /// Its containers by their ids.
    ids: HashMap<String, String>,
}

impl Beside {
    fn of(pod: &Value, workloads: &Workloads) -> Self {
        let containers = pod["spec"]["containers"].as_array();
        let only = containers.filter(|all| all.len() == 1).and_then(|all| all[0]["name"].as_str());
        let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
        let id = |status: &Value| {
            let (_, id) = status["containerID"].as_str()?.split_once("://")?;
            Some((id.to_owned(), status["name"].as_str()?.to_owned()))
        };
        Self { workload: workloads.of_pod(pod), only: only.map(str::to_owned), ids: statuses.filter_map(id).collect() }
    }
}

impl Cluster {
    /// From the API's objects.
    pub fn of(pods: &[Value], nodes: &[Value], workloads: Workloads) -> Self {
        let mut cluster = Self { workloads, ..Self::default() };
        for pod in pods {
            let holder = Holder::of(pod);
            if let Some(address) = pod["status"]["hostIP"].as_str().and_then(|address| address.parse().ok()) {
                cluster.network.nodes.insert(address, holder.node.clone());
            }
            cluster.pods.push(Beside::of(pod, &cluster.workloads));
            cluster.network.pods.push(holder);
        }
        for node in nodes {
            let name = node["metadata"]["name"].as_str().unwrap_or_default();
            for address in node["status"]["addresses"].as_array().into_iter().flatten() {
                if let Some(address) = address["address"].as_str().and_then(|text| text.parse().ok()) {
                    cluster.network.nodes.insert(address, name.to_owned());
                }
            }
        }
        cluster
    }

    /// Adds what the nodes' tables say. Only flows to the ends that the server sees are kept: tables are long.
    pub fn add_flows(&mut self, read: Vec<NodeFlows>, ends: &HashSet<(IpAddr, u16)>) {
        for node in read {
            if let Some(why) = node.failed {
                self.unread.insert(node.node, why);
                continue;
            }
            let seen = |flow: &Flow| ends.contains(&(flow.reply.destination, flow.reply.destination_port));
            self.network.flows.extend(node.flows.into_iter().filter(seen));
        }
    }

    /// Who holds the connection that a server sees from this address and port. `servers` are addresses that the server
    /// may have: ports of clients are unique only towards one of them.
    pub fn who(&self, client: IpAddr, client_port: u16, since: Option<i64>, servers: &[IpAddr], port: u16) -> Who {
        let ends = (client, client_port);
        let fits: Vec<&Flow> = self
            .network
            .flows
            .iter()
            .filter(|flow| {
                (flow.reply.destination, flow.reply.destination_port) == ends
                    && flow.reply.source_port == port
                    && flow.is_open()
            })
            .collect();
        let server = servers.iter().copied().find(|server| fits.iter().any(|flow| flow.reply.source == *server));
        let sources: HashSet<(IpAddr, u16)> =
            fits.iter().map(|flow| (flow.original.source, flow.original.source_port)).collect();
        if server.is_none() && sources.len() > 1 {
            let reason = format!(
                "{client}:{client_port} is {} connections, to servers of different addresses, and none is known to be this one's",
                sources.len()
            );
            return Who::Unknown { reason };
        }
        let seen = Seen { client, client_port, server, server_port: Some(port) };
        match self.network.owner(&Connection { seen, since }) {
            Owner::Pod { pod, port } => self.pod(pod, port),
            Owner::HostNetwork { node, pods } => {
                let chosen = fits.iter().find(|flow| server.is_none_or(|server| server == flow.reply.source));
                match chosen.and_then(|flow| self.on_host(&node, &flow.original)) {
                    Some(who) => who,
                    None => self.host(node, &pods),
                }
            }
            Owner::NoFlow { node } => self.no_flow(node, client_port),
            Owner::NoPod { address } => {
                Who::Unknown { reason: format!("the pod that had {address} when the connection began is gone") }
            }
            Owner::Stranger => Who::Outside { address: client.to_string() },
        }
    }

    /// Who has an address now.
    pub fn at(&self, address: IpAddr) -> Who {
        if let Some(pod) = self.network.pod_at(address, None) {
            return self.pod(pod, None);
        }
        match self.network.nodes.get(&address) {
            Some(node) => {
                let there = |pod: &Holder| pod.host_network && pod.node == *node && !pod.finished;
                let pods = self.network.pods.iter().enumerate().filter(|(_, pod)| there(pod));
                let numbers: Vec<usize> = pods.map(|(number, _)| number).collect();
                self.host(node.clone(), &numbers)
            }
            None => Who::Outside { address: address.to_string() },
        }
    }

    /// The addresses and the node of a pod.
    pub fn place_of(&self, namespace: &str, name: &str) -> Option<(&[IpAddr], &str)> {
        let pod = self.network.pods.iter().find(|pod| pod.namespace == namespace && pod.name == name)?;
        Some((&pod.addresses, &pod.node))
    }

    fn pod(&self, number: usize, port: Option<u16>) -> Who {
        let (holder, beside) = (&self.network.pods[number], &self.pods[number]);
        let address = holder.addresses.first();
        Who::Pod {
            namespace: holder.namespace.clone(),
            pod: holder.name.clone(),
            container: beside.only.clone(),
            node: holder.node.clone(),
            workload: beside.workload.clone(),
            socket: address.zip(port).map(|(address, port)| SocketAddr::new(*address, port).to_string()),
            pooler: holder.pooler,
        }
    }

    fn host(&self, node: String, pods: &[usize]) -> Who {
        let named = |number: &usize| {
            let pod = &self.network.pods[*number];
            format!("{}/{}", pod.namespace, pod.name)
        };
        Who::Host { node, candidates: pods.iter().map(named).collect(), process: None }
    }

    /// Whose process has a node's own end of a connection, if its processes are known.
    fn on_host(&self, node: &str, original: &Tuple) -> Option<Who> {
        let process = self.processes.get(&(node.to_owned(), original.source, original.source_port))?;
        let uid = process.pod.as_deref().unwrap_or_default();
        let Some(number) = self.network.pods.iter().position(|pod| pod.uid == uid && !uid.is_empty()) else {
            let words = format!("{} ({})", process.name, process.pid);
            return Some(Who::Host { node: node.to_owned(), candidates: Vec::new(), process: Some(words) });
        };
        let mut who = self.pod(number, None);
        if let Who::Pod { container, socket, .. } = &mut who {
            let named = process.container.as_ref().and_then(|id| self.pods[number].ids.get(id));
            *container = named.or(container.as_ref()).cloned();
            *socket = Some(SocketAddr::new(original.source, original.source_port).to_string());
        }
        Some(who)
    }

    /// Ends of connections in the nodes' own networks, by node: for [`Cluster::add_processes`].
    pub fn host_ends(&self) -> HashMap<String, Vec<(IpAddr, u16)>> {
        let mut ends: HashMap<String, Vec<(IpAddr, u16)>> = HashMap::new();
        for flow in self.network.flows.iter().filter(|flow| flow.is_open()) {
            let end = (flow.original.source, flow.original.source_port);
            if self.network.nodes.get(&end.0) == Some(&flow.node) && self.network.pod_at(end.0, None).is_none() {
                ends.entry(flow.node.clone()).or_default().push(end);
            }
        }
        ends
    }

    /// Adds the processes of a node.
    pub fn add_processes(&mut self, node: &str, processes: HashMap<(IpAddr, u16), Process>) {
        let keyed = processes.into_iter().map(|((address, port), process)| ((node.to_owned(), address, port), process));
        self.processes.extend(keyed);
    }

    fn no_flow(&self, node: String, port: u16) -> Who {
        let reason = match self.unread.get(&node) {
            Some(why) => format!("it comes through node {node}, whose table of connections could not be read: {why}"),
            None => format!(
                "it comes through node {node}, whose table of connections has no entry for port {port}: flushed, or the client is gone"
            ),
        };
        Who::Unknown { reason }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn flow(from: &str, port: u16, server: &str, seen: u16) -> Flow {
        Flow {
            item: 0,
            line: 0,
            node: "n1".to_owned(),
            state: "ESTABLISHED".to_owned(),
            original: Tuple { source: ip(from), source_port: port, destination: ip(server), destination_port: 5432 },
            reply: Tuple { source: ip(server), source_port: 5432, destination: ip("10.9.0.5"), destination_port: seen },
        }
    }

    fn pod(name: &str, address: &str, host: bool) -> Value {
        json!({"metadata": {"namespace": "shop", "name": name}, "spec": {"nodeName": "n1", "hostNetwork": host,
            "containers": [{"name": "main"}]}, "status": {"podIP": address, "hostIP": "10.9.0.5"}})
    }

    fn cluster(read: Vec<NodeFlows>) -> Cluster {
        let pods = [pod("a", "10.1.0.6", false), pod("b", "10.1.0.7", false), pod("agent", "10.9.0.5", true)];
        let mut cluster = Cluster::of(&pods, &[], Workloads::default());
        let ends = [600, 601, 602, 603].map(|port| (ip("10.9.0.5"), port)).into_iter().collect();
        cluster.add_flows(read, &ends);
        cluster
    }

    fn named(who: &Who) -> String {
        match who {
            Who::Pod { pod, socket, .. } => format!("{pod} {}", socket.clone().unwrap_or_default()),
            Who::Host { node, candidates, .. } => format!("{node} {}", candidates.join(",")),
            Who::Unknown { reason } => reason.clone(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn two_servers_see_one_address_and_port() {
        let flows = vec![
            flow("10.1.0.6", 40000, "192.0.2.1", 600),
            flow("10.1.0.7", 40000, "192.0.2.2", 600),
            flow("10.9.0.5", 601, "192.0.2.1", 601),
            flow("10.1.0.6", 1, "192.0.2.1", 999),
        ];
        let cluster = cluster(vec![NodeFlows { node: "n1".to_owned(), flows, ..NodeFlows::default() }]);
        let who = |port, servers: &[&str]| {
            let servers: Vec<IpAddr> = servers.iter().map(|server| ip(server)).collect();
            named(&cluster.who(ip("10.9.0.5"), port, None, &servers, 5432))
        };
        assert_eq!(who(600, &["192.0.2.1"]), "a 10.1.0.6:40000");
        assert_eq!(who(600, &["198.51.100.1", "192.0.2.2"]), "b 10.1.0.7:40000");
        assert!(who(600, &[]).contains("2 connections"));
        assert_eq!(who(601, &[]), "n1 shop/agent");
        assert!(who(602, &[]).contains("no entry for port 602"));
        // Not seen by the server, so not kept.
        assert!(who(999, &[]).contains("no entry"));
    }

    #[test]
    fn what_was_not_read_is_said() {
        let failed = Some("it is away".to_owned());
        let cluster = cluster(vec![NodeFlows { node: "n1".to_owned(), failed, ..NodeFlows::default() }]);
        assert!(named(&cluster.who(ip("10.9.0.5"), 600, None, &[], 5432)).contains("it is away"));
        // Without translation there is nothing to look up.
        assert_eq!(named(&cluster.who(ip("10.1.0.7"), 77, None, &[], 5432)), "b 10.1.0.7:77");
        assert_eq!(cluster.who(ip("203.0.113.9"), 1, None, &[], 1), Who::Outside { address: "203.0.113.9".to_owned() });
    }
}
