//! The cluster's side of a database's connections: pods and nodes with their addresses, sockets, poolers.

use std::sync::LazyLock;

use regex::Regex;

use crate::evidence::{Evidence, ItemKind};
use crate::owner::{Holder, Network, is_pooler};
use crate::read::table;

/// What the evidence tells of addresses.
pub fn network(evidence: &Evidence) -> Network {
    let read = evidence.read();
    let mut network = Network { flows: read.flows.clone(), ..Network::default() };
    for found in &read.objects {
        match found.kind() {
            "Pod" => {
                let node = found.object["spec"]["nodeName"].as_str().unwrap_or_default();
                if let Some(address) = found.object["status"]["hostIP"].as_str().and_then(|text| text.parse().ok()) {
                    network.nodes.insert(address, node.to_owned());
                }
                network.pods.push(Holder::of(&found.object));
            }
            "Node" => {
                for address in found.object["status"]["addresses"].as_array().into_iter().flatten() {
                    if let Some(address) = address["address"].as_str().and_then(|text| text.parse().ok()) {
                        network.nodes.insert(address, found.name().to_owned());
                    }
                }
            }
            _ => {}
        }
    }
    tables(evidence, &mut network);
    // Whoever's table has flows to its own address is a node with that address.
    for flow in &read.flows {
        if !flow.node.is_empty() && flow.original.source == flow.reply.destination {
            let pod = network.pods.iter().any(|pod| pod.addresses.contains(&flow.original.source) && !pod.host_network);
            if !pod {
                network.nodes.entry(flow.original.source).or_insert_with(|| flow.node.clone());
            }
        }
    }
    network
}

/// `kubectl get pods -o wide` and `kubectl get nodes -o wide`.
fn tables(evidence: &Evidence, network: &mut Network) {
    for item in evidence.items() {
        if !matches!(item.kind, ItemKind::KubectlOutput | ItemKind::Pods | ItemKind::NodeFacts | ItemKind::Text) {
            continue;
        }
        for row in table::columns(&item.text, "NAME") {
            if let Ok(address) = row.get("INTERNAL-IP").parse() {
                network.nodes.insert(address, row.get("NAME").to_owned());
            }
            if let Ok(address) = row.get("IP").parse() {
                let name = row.get("NAME");
                network.pods.push(Holder {
                    namespace: row.get("NAMESPACE").to_owned(),
                    name: name.to_owned(),
                    node: row.get("NODE").to_owned(),
                    addresses: vec![address],
                    host_network: network.nodes.contains_key(&address),
                    finished: matches!(row.get("STATUS"), "Completed" | "Error" | "Succeeded" | "Failed" | "Evicted"),
                    pooler: is_pooler(name),
                    ..Holder::default()
                });
            }
        }
    }
}

/// A pod as people name it.
pub fn name(pod: &Holder) -> String {
    if pod.namespace.is_empty() { pod.name.clone() } else { format!("{}/{}", pod.namespace, pod.name) }
}

static PROCESS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"users:\(\("([^"]+)",pid=(\d+)"#).ok());
static POD_UID: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})").ok());

/// Who has a local port on a node: `ss -tnp`, and the control group of the process.
pub fn by_socket(evidence: &Evidence, network: &Network, port: u16) -> Option<String> {
    let local = format!(":{port} ");
    let facts: Vec<&str> = evidence
        .items()
        .iter()
        .filter(|item| matches!(item.kind, ItemKind::NodeFacts | ItemKind::Text))
        .map(|item| item.text.as_str())
        .collect();
    let line =
        facts.iter().flat_map(|text| text.lines()).find(|line| line.contains(&local) && line.contains("pid="))?;
    let found = PROCESS.as_ref()?.captures(line)?;
    let (program, pid) = (&found[1], &found[2]);
    let mut groups = facts.iter().flat_map(|text| text.lines()).filter(|line| {
        line.contains("cgroup") || line.starts_with("0::/") || line.contains("kubepods") || line.contains(".slice")
    });
    let uid = std::iter::once(line)
        .chain(groups.clone())
        .find_map(|line| Some(POD_UID.as_ref()?.captures(line)?[1].replace('_', "-")));
    if let Some(uid) = uid {
        let pod = network.pods.iter().find(|pod| pod.uid == uid);
        return Some(pod.map_or(format!("pod with the uid {uid}"), |pod| format!("pod {}", name(pod))));
    }
    groups.any(|line| line.contains(".service")).then(|| format!("process {program} ({pid}) outside Kubernetes"))
}

/// Who is behind a pooler's connection from this port of its own to the database.
pub fn behind_pooler(evidence: &Evidence, network: &Network, port: u16) -> Option<String> {
    let pooled = &evidence.read().postgres.pooled;
    let server = pooled.iter().find(|one| one.to_server && one.local.1 == Some(port))?;
    if server.link.is_empty() {
        return Some("nobody at the moment".to_owned());
    }
    let client = pooled.iter().find(|one| !one.to_server && one.pointer == server.link)?;
    let address = client.peer.0?;
    let pod = network.pod_at(address, None)?;
    Some(format!("pod {}", name(&network.pods[pod])))
}
