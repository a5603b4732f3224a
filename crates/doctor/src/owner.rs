//! Who holds a connection: from what a server sees (address and port) back to the pod that opened it.
//!
//! The server's view is the reply tuple of a flow in the table of the node whose address the server sees. The flow's
//! original source is the pod's address, and the pod is the one that had this address when the connection began.

use std::collections::HashMap;
use std::net::IpAddr;

use serde_json::Value;

use crate::read::conntrack::{Flow, Seen, flow_of};

/// A connection that a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// As the server sees it.
    pub seen: Seen,
    /// When it began, in seconds since 1970.
    pub since: Option<i64>,
}

/// A pod and the addresses it has or had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// `metadata.uid`; empty when not told.
    pub uid: String,
    /// Its node.
    pub node: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether it uses its node's own network.
    pub host_network: bool,
    /// Since when it runs, in seconds since 1970.
    pub since: Option<i64>,
    /// Whether it has ended, so that its address may be another's.
    pub finished: bool,
    /// Whether it passes connections of others on: pgbouncer, pgpool and the like.
    pub pooler: bool,
}

const POOLERS: [&str; 7] = ["pgbouncer", "pgpool", "odyssey", "pgcat", "supavisor", "pooler", "pgagroal"];

/// Whether names, images or labels are those of a pooler.
pub(crate) fn is_pooler(text: &str) -> bool {
    POOLERS.iter().any(|name| text.contains(name))
}

impl Holder {
    /// What a pod's object tells.
    pub fn of(pod: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let several = pod["status"]["podIPs"].as_array().into_iter().flatten().filter_map(|one| one["ip"].as_str());
        let mut addresses: Vec<IpAddr> = several.filter_map(|one| one.parse().ok()).collect();
        addresses.extend(pod["status"]["podIP"].as_str().and_then(|one| one.parse::<IpAddr>().ok()));
        let images = pod["spec"]["containers"].as_array().into_iter().flatten().filter_map(|one| one["image"].as_str());
        let name = text(&pod["metadata"]["name"]);
        let names = images.chain([name.as_str()]).collect::<Vec<_>>().join(" ");
        let labels = pod["metadata"]["labels"].as_object().map(|labels| Value::from(labels.clone()).to_string());
        let started = pod["status"]["startTime"].as_str().or_else(|| pod["metadata"]["creationTimestamp"].as_str());
        Self {
            namespace: text(&pod["metadata"]["namespace"]),
            uid: text(&pod["metadata"]["uid"]),
            node: text(&pod["spec"]["nodeName"]),
            addresses,
            host_network: pod["spec"]["hostNetwork"] == true,
            since: started.and_then(|text| text.parse::<jiff::Timestamp>().ok()).map(jiff::Timestamp::as_second),
            finished: matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed")),
            pooler: is_pooler(&names) || labels.is_some_and(|labels| is_pooler(&labels)),
            name,
        }
    }
}

/// All that is needed to find owners.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// Flows of the nodes' tables.
    pub flows: Vec<Flow>,
    /// Pods.
    pub pods: Vec<Holder>,
    /// Addresses of nodes, and their names.
    pub nodes: HashMap<IpAddr, String>,
}

/// What is known of a connection's owner. Pods are numbers in [`Network::pods`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// This pod, from this address and port of its own.
    Pod {
        /// The pod.
        pod: usize,
        /// Its own port, where the flow tells.
        port: Option<u16>,
    },
    /// A process in the network of a node: one of these pods, or one outside Kubernetes.
    HostNetwork {
        /// The node.
        node: String,
        /// Pods that use its network.
        pods: Vec<usize>,
    },
    /// The address is a node's, but no flow of its table fits: it was not asked, or the flow is gone.
    NoFlow {
        /// The node.
        node: String,
    },
    /// The address is a pod's, but no known pod had it when the connection began.
    NoPod {
        /// The address.
        address: IpAddr,
    },
    /// The address is neither a pod's nor a node's: it was translated elsewhere, or the client is no part of the cluster.
    Stranger,
}

impl Network {
    /// Who holds this connection.
    pub fn owner(&self, connection: &Connection) -> Owner {
        let seen = &connection.seen;
        // PostgreSQL's usual port first: two servers may see the same address and port.
        let usual = Seen { server_port: seen.server_port.or(Some(5432)), ..*seen };
        let flow = flow_of(&self.flows, &usual).or_else(|| flow_of(&self.flows, seen));
        let source = flow.map_or(seen.client, |flow| flow.original.source);
        let port = flow.map(|flow| flow.original.source_port);
        if let Some(pod) = self.pod_at(source, connection.since) {
            return Owner::Pod { pod, port: port.or(Some(seen.client_port)) };
        }
        match (self.nodes.get(&source), flow) {
            (Some(node), Some(_)) => Owner::HostNetwork { node: node.clone(), pods: self.on_host(node) },
            (Some(node), None) => Owner::NoFlow { node: node.clone() },
            (None, Some(_)) => Owner::NoPod { address: source },
            (None, None) if self.pods.iter().any(|pod| pod.addresses.contains(&source)) => {
                Owner::NoPod { address: source }
            }
            (None, None) => Owner::Stranger,
        }
    }

    /// The pod that had an address at a time: not a finished one while another has it, nor one that began later.
    pub fn pod_at(&self, address: IpAddr, time: Option<i64>) -> Option<usize> {
        let had = |pod: &Holder| !pod.host_network && pod.addresses.contains(&address);
        let early = |pod: &Holder| pod.since.zip(time).is_none_or(|(began, time)| began <= time);
        let fitting = self.pods.iter().enumerate().filter(|(_, pod)| had(pod) && early(pod) && !pod.finished);
        fitting.max_by_key(|(_, pod)| pod.since).map(|(number, _)| number)
    }

    fn on_host(&self, node: &str) -> Vec<usize> {
        let there = |pod: &Holder| pod.host_network && pod.node == node && !pod.finished;
        self.pods.iter().enumerate().filter(|(_, pod)| there(pod)).map(|(number, _)| number).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::conntrack::Tuple;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn pod(name: &str, at: &str, since: i64) -> Holder {
        Holder { name: name.to_owned(), addresses: vec![address(at)], since: Some(since), ..Holder::default() }
    }

    fn network() -> Network {
        let flow = |from: &str, port: u16, seen: u16| Flow {
            item: 0,
            line: 1,
            node: "n1".to_owned(),
            state: "ESTABLISHED".to_owned(),
            original: Tuple {
                source: address(from),
                source_port: port,
                destination: address("10.96.0.1"),
                destination_port: 5432,
            },
            reply: Tuple {
                source: address("10.9.0.2"),
                source_port: 5432,
                destination: address("10.9.0.5"),
                destination_port: seen,
            },
        };
        let host = Holder { host_network: true, node: "n1".to_owned(), ..pod("agent", "10.9.0.5", 0) };
        Network {
            flows: vec![flow("10.1.0.7", 4000, 600), flow("10.9.0.5", 601, 601), flow("10.1.0.99", 1, 602)],
            pods: vec![
                Holder { finished: true, ..pod("done", "10.1.0.7", 10) },
                pod("right", "10.1.0.7", 50),
                pod("later", "10.1.0.7", 500),
                host,
            ],
            nodes: HashMap::from([(address("10.9.0.5"), "n1".to_owned())]),
        }
    }

    #[test]
    fn every_kind_of_owner() {
        let network = network();
        let owner = |client: &str, client_port: u16| {
            let seen = Seen { client: address(client), client_port, server: None, server_port: None };
            network.owner(&Connection { seen, since: Some(100) })
        };
        assert_eq!(owner("10.9.0.5", 600), Owner::Pod { pod: 1, port: Some(4000) });
        assert_eq!(owner("10.1.0.7", 77), Owner::Pod { pod: 1, port: Some(77) });
        assert_eq!(owner("10.9.0.5", 601), Owner::HostNetwork { node: "n1".to_owned(), pods: vec![3] });
        assert_eq!(owner("10.9.0.5", 602), Owner::NoPod { address: address("10.1.0.99") });
        assert_eq!(owner("10.9.0.5", 603), Owner::NoFlow { node: "n1".to_owned() });
        assert_eq!(owner("192.0.2.1", 603), Owner::Stranger);
    }
}
