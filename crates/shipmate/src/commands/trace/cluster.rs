//! What the cluster tells for a trace: pods, nodes, owners, autoscalers, and the nodes' tables of connections.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use operate::access::Access;
use operate::trace::flows::{self, NodeFlows, Wanted};
use operate::trace::sockets;
use operate::trace::who::Cluster;
use operate::trace::workloads::Workloads;
use serde_json::Value;

use crate::reach::{KnownNode, Reached};

/// What the API knows.
pub(super) struct Known {
    pub(super) cluster: Cluster,
    pub(super) nodes: Vec<KnownNode>,
    /// What could not be read.
    pub(super) notes: Vec<String>,
}

/// Pods of earlier looks, which may be gone by now while their connections are still there.
#[derive(Default)]
pub(super) struct Memory(HashMap<String, Value>);

impl Memory {
    /// The pods that are there, and those that were.
    fn with(&mut self, pods: Vec<Value>) -> Vec<Value> {
        for pod in pods {
            let uid = pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
            self.0.insert(uid, pod);
        }
        self.0.values().cloned().collect()
    }
}

/// Asks the API. Without pods and nodes nothing can be named; all else is only missed.
pub(super) async fn known(reached: &Reached, memory: &mut Memory) -> anyhow::Result<Known> {
    let (pods, nodes, sets, jobs, scalers) = tokio::join!(
        reached.list("/api/v1/pods", "Pod"),
        reached.nodes(None),
        reached.list("/apis/apps/v1/replicasets", "ReplicaSet"),
        reached.list("/apis/batch/v1/jobs", "Job"),
        reached.list("/apis/autoscaling/v2/horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    );
    let mut notes = Vec::new();
    let mut or_missed = |what: &str, listed: anyhow::Result<Vec<Value>>| {
        listed.unwrap_or_else(|error| {
            notes.push(format!("{what} could not be listed: {error:#}"));
            Vec::new()
        })
    };
    let mut owned = or_missed("ReplicaSets, so Deployments", sets);
    owned.extend(or_missed("Jobs, so CronJobs", jobs));
    let scalers = or_missed("autoscalers", scalers);
    let nodes = match nodes {
        Ok(nodes) => nodes,
        Err(error) => {
            notes.push(format!("nodes could not be listed: {error:#}"));
            Vec::new()
        }
    };
    let objects: Vec<Value> = nodes.iter().map(|node| node.object.clone()).collect();
    let cluster = Cluster::of(&memory.with(pods?), &objects, Workloads::of(&owned, &scalers));
    Ok(Known { cluster, nodes, notes })
}

impl Known {
    /// Reads the tables of the nodes from which these ends come, as a server on `port` sees them.
    pub(super) async fn read_flows(&mut self, reached: &Reached, ends: &HashSet<(IpAddr, u16)>, port: u16) {
        let addresses: HashSet<IpAddr> = ends.iter().map(|(address, _)| *address).collect();
        let kept = ends.clone();
        let wanted: Wanted = Arc::new(move |_, reply| {
            reply.source_port == port && kept.contains(&(reply.destination, reply.destination_port))
        });
        let read = self.read(reached, &wanted, &|node| has_any(node, &addresses)).await;
        self.cluster.add_flows(read, ends);
        self.read_processes(reached).await;
    }

    /// For connections from the nodes' own networks: which process it is.
    async fn read_processes(&mut self, reached: &Reached) {
        for (name, ends) in self.cluster.host_ends() {
            let Some(node) = self.nodes.iter().find(|node| node.name == name) else { continue };
            let read = match reached.access(node).await {
                Ok(way) => sockets::processes(way.as_ref(), &ends).await,
                Err(error) => Err(format!("{error:#}")),
            };
            match read {
                Ok(processes) => self.cluster.add_processes(&name, processes),
                Err(why) => self.notes.push(format!("node {name}: its processes could not be looked at: {why}")),
            }
        }
    }

    /// Reads the tables of some nodes; what could not be read, or was read otherwise, becomes a note.
    pub(super) async fn read(
        &mut self,
        reached: &Reached,
        wanted: &Wanted,
        asked: &(dyn Fn(&KnownNode) -> bool + Sync),
    ) -> Vec<NodeFlows> {
        let mut ways: Vec<Arc<dyn Access>> = Vec::new();
        let mut read = Vec::new();
        for node in self.nodes.iter().filter(|node| asked(node)) {
            match reached.access(node).await {
                Ok(way) => ways.push(way),
                Err(error) => {
                    let failed = Some(format!("{error:#}"));
                    read.push(NodeFlows { node: node.name.clone(), failed, ..NodeFlows::default() });
                }
            }
        }
        read.extend(flows::of_nodes(&ways, wanted).await);
        for node in &read {
            match &node.failed {
                Some(why) => self.notes.push(format!("node {}: {why}", node.node)),
                // Netlink is the rule; what is read by other means is said.
                None if node.means != "netlink" => {
                    let note = format!("node {}: its table of connections was read by `{}`", node.node, node.means);
                    self.notes.push(note);
                }
                None => {}
            }
        }
        read
    }
}

fn has_any(node: &KnownNode, wanted: &HashSet<IpAddr>) -> bool {
    let addresses = node.object["status"]["addresses"].as_array();
    let mut addresses =
        addresses.into_iter().flatten().filter_map(|one| one["address"].as_str()?.parse::<IpAddr>().ok());
    addresses.any(|address| wanted.contains(&address))
}
