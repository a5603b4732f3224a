//! Connections as the nodes' tables alone tell them: of any TCP server, of a pod.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use doctor::read::conntrack::Tuple;
use serde::Serialize;
use serde_json::Value;

use super::cluster::Cluster;
use super::flows::Flow;
use super::report::holder;
use super::who::Who;

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Link {
    /// Who opened it.
    pub client: Who,
    /// The client's own address and port.
    pub from: String,
    /// Where the client connected to.
    pub to: String,
    /// What this address is, where a Service, pod or node has it.
    pub to_name: Option<String>,
    /// Where it ends, if a Service or the like sent it elsewhere.
    pub server: Option<String>,
    /// Who has that address.
    pub server_name: Option<String>,
    /// The client as the server sees it.
    pub seen_as: String,
    /// The state of TCP.
    pub state: String,
    /// The node whose table tells it.
    pub node: String,
}

/// Names of addresses that are no pod's and no node's.
#[derive(Debug, Default)]
pub struct Services(HashMap<(IpAddr, u16), String>);

impl Services {
    /// From the API's objects.
    pub fn of(services: &[Value]) -> Self {
        let mut found = HashMap::new();
        for service in services {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let name =
                format!("service {}/{}", text(&service["metadata"]["namespace"]), text(&service["metadata"]["name"]));
            let lists = [&service["spec"]["clusterIPs"], &service["spec"]["externalIPs"]];
            let listed = lists.into_iter().flat_map(|list| list.as_array().into_iter().flatten());
            let balanced = service["status"]["loadBalancer"]["ingress"].as_array().into_iter().flatten();
            let addresses = listed.chain([&service["spec"]["clusterIP"]]).chain(balanced.map(|one| &one["ip"]));
            for address in addresses.filter_map(|address| address.as_str()?.parse::<IpAddr>().ok()) {
                for port in service["spec"]["ports"].as_array().into_iter().flatten() {
                    if let Some(port) = port["port"].as_u64().and_then(|port| u16::try_from(port).ok()) {
                        found.insert((address, port), name.clone());
                    }
                }
            }
        }
        Self(found)
    }
}

/// Every connection once: nodes on the way tell the same one again, and what one node translated another sees as its.
pub fn links(flows: &[Flow], cluster: &Cluster, services: &Services) -> Vec<Link> {
    let end = |tuple: &Tuple| (tuple.source, tuple.source_port, tuple.destination, tuple.destination_port);
    // What leaves a node after translation is no connection of its own on the next one.
    let translated: HashSet<_> = flows
        .iter()
        .filter(|flow| flow.changes())
        .map(|flow| {
            let reply = &flow.reply;
            (reply.destination, reply.destination_port, reply.source, reply.source_port)
        })
        .collect();
    let mut links = BTreeMap::new();
    for flow in flows.iter().filter(|flow| !translated.contains(&end(&flow.original))) {
        links.entry(end(&flow.original)).or_insert_with(|| link(flow, cluster, services));
    }
    links.into_values().collect()
}

fn link(flow: &Flow, cluster: &Cluster, services: &Services) -> Link {
    let (original, reply) = (&flow.original, &flow.reply);
    let to = SocketAddr::new(original.destination, original.destination_port);
    let server = SocketAddr::new(reply.source, reply.source_port);
    let name = |end: SocketAddr| {
        let service = services.0.get(&(end.ip(), end.port())).cloned();
        service.or_else(|| match cluster.at(end.ip()) {
            Who::Outside { .. } => None,
            Who::Pod { namespace, pod, .. } => Some(format!("pod {namespace}/{pod}")),
            Who::Host { node, .. } => Some(format!("node {node}")),
            other => Some(holder(&other)),
        })
    };
    let moved = (server != to).then_some(server);
    Link {
        client: cluster.client_of(flow),
        from: SocketAddr::new(original.source, original.source_port).to_string(),
        to: to.to_string(),
        to_name: name(to),
        server: moved.map(|server| server.to_string()),
        server_name: moved.and_then(name),
        seen_as: SocketAddr::new(reply.destination, reply.destination_port).to_string(),
        state: flow.state.clone(),
        node: flow.node.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::trace::workloads::Workloads;

    fn flow(node: &str, original: [&str; 2], reply: [&str; 2]) -> Flow {
        let tuple = |ends: [&str; 2]| {
            let (from, to): (SocketAddr, SocketAddr) = (ends[0].parse().unwrap(), ends[1].parse().unwrap());
            Tuple { source: from.ip(), source_port: from.port(), destination: to.ip(), destination_port: to.port() }
        };
        Flow {
            node: node.to_owned(),
            state: "ESTABLISHED".to_owned(),
            original: tuple(original),
            reply: tuple(reply),
            began: None,
            recorded: false,
        }
    }

    #[test]
    fn each_connection_once_with_both_ends_named() {
        let pod = |name: &str, address: &str| json!({"metadata": {"namespace": "shop", "name": name}, "spec": {"nodeName": "n1"}, "status": {"podIP": address}});
        let node = json!({"metadata": {"name": "n1"}, "status": {"addresses": [{"address": "10.9.0.5"}]}});
        let pods = [pod("web", "10.1.0.6"), pod("db", "10.2.0.7")];
        let cluster = Cluster::of(&pods, &[node], Workloads::default());
        let service = json!({"metadata": {"namespace": "shop", "name": "db"},
            "spec": {"clusterIP": "10.96.0.9", "ports": [{"port": 5432}]}});
        let flows = [
            // Through a service, seen on both nodes.
            flow("n1", ["10.1.0.6:400", "10.96.0.9:5432"], ["10.2.0.7:5432", "10.1.0.6:400"]),
            flow("n2", ["10.1.0.6:400", "10.2.0.7:5432"], ["10.2.0.7:5432", "10.1.0.6:400"]),
            // Masqueraded, and seen again by the machine of the server.
            flow("n1", ["10.1.0.6:401", "192.0.2.1:80"], ["192.0.2.1:80", "10.9.0.5:7777"]),
            flow("n2", ["10.9.0.5:7777", "192.0.2.1:80"], ["192.0.2.1:80", "10.9.0.5:7777"]),
        ];
        let links = links(&flows, &cluster, &Services::of(&[service]));
        let told: Vec<_> = links
            .iter()
            .map(|link| (link.from.as_str(), link.to_name.as_deref(), link.server_name.as_deref()))
            .collect();
        assert_eq!(
            told,
            [("10.1.0.6:400", Some("service shop/db"), Some("pod shop/db")), ("10.1.0.6:401", None, None),]
        );
        assert_eq!(links[1].seen_as, "10.9.0.5:7777");
        assert!(links.iter().all(|link| holder(&link.client) == "pod shop/web"));
    }
}
