//! What the cluster tells for a trace: pods, nodes, owners, autoscalers, and the nodes' tables of connections.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use doctor::read::conntrack::Tuple;
use futures::future::join_all;
use operate::access::{Access, Local};
use operate::collect::api::Node;
use operate::trace::cluster::{Cluster, Questions};
use operate::trace::flows::{self, NodeFlows, Wanted};
use operate::trace::join::{End, Seen, Server};
use operate::trace::pods::GONE;
use operate::trace::sockets;
use operate::trace::workloads::Workloads;
use serde_json::Value;

use crate::cli::reach::Reach;
use crate::nodes;
use crate::reach::{KnownNode, Reached};

/// Nodes and gateways one after the other that may have translated a connection.
const ROUNDS: usize = 5;
/// Pods that are gone and still remembered.
const REMEMBERED: usize = 5000;

/// What the API knows.
pub(super) struct Known {
    pub(super) cluster: Cluster,
    pub(super) nodes: Vec<KnownNode>,
    /// What could not be read.
    pub(super) notes: Vec<String>,
    ways: HashMap<String, Arc<dyn Access>>,
}

/// Pods of earlier looks, which may be gone by now while their connections are still there.
#[derive(Default)]
pub(super) struct Memory(HashMap<String, Value>);

impl Memory {
    /// The pods that are there, and those that were.
    fn with(&mut self, pods: Vec<Value>) -> Vec<Value> {
        let mut there = HashSet::new();
        for pod in pods {
            let uid = pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
            there.insert(uid.clone());
            self.0.insert(uid, pod);
        }
        let now = jiff::Timestamp::now().as_second();
        for (_, pod) in self.0.iter_mut().filter(|(uid, pod)| !there.contains(*uid) && pod.get(GONE).is_none()) {
            pod[GONE] = now.into();
        }
        let mut gone: Vec<(i64, String)> =
            self.0.iter().filter_map(|(uid, pod)| Some((pod[GONE].as_i64()?, uid.clone()))).collect();
        gone.sort();
        for (_, uid) in gone.iter().take(gone.len().saturating_sub(REMEMBERED)) {
            self.0.remove(uid);
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
    Ok(Known { cluster, nodes, notes, ways: HashMap::new() })
}

/// Ways onto machines outside the cluster that translate addresses.
pub(super) async fn gateways(names: &[String], reach: &Reach) -> Vec<Arc<dyn Access>> {
    let mut ways: Vec<Arc<dyn Access>> = Vec::new();
    for name in names {
        let node = Node { name: name.clone(), address: None };
        let ssh = Reach { ssh: Some(reach.ssh.clone().unwrap_or_default()), ..reach.clone() };
        match name.as_str() {
            "localhost" => ways.push(Arc::new(Local::new("this machine"))),
            _ => ways.extend(nodes::of_cluster(&ssh, &[node]).await),
        }
    }
    ways
}

/// The addresses of this machine, which may well be a gateway itself.
fn own_addresses() -> HashSet<IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let address = |interface: nix::ifaddrs::InterfaceAddress| {
        let address = interface.address?;
        let four = address.as_sockaddr_in().map(|one| IpAddr::V4(one.ip()));
        four.or_else(|| address.as_sockaddr_in6().map(|one| IpAddr::V6(one.ip())))
    };
    interfaces.filter_map(address).collect()
}

impl Known {
    /// Reads from the nodes what it takes to name these connections: tables, as far back as one leads to the next, then
    /// processes and sockets.
    pub(super) async fn find(
        &mut self,
        reached: &Reached,
        connections: &[(Seen, Server)],
        gateways: &[Arc<dyn Access>],
    ) {
        let seen = connections.iter().map(|(seen, _)| seen.client);
        // What is a pod's own was not translated.
        let mut ends: HashSet<End> = seen.filter(|end| !self.cluster.is_pods(end.0)).collect();
        let ports: BTreeSet<u16> = connections.iter().flat_map(|(_, server)| server.ports.iter().copied()).collect();
        let here = own_addresses();
        for round in 0..ROUNDS {
            if ends.is_empty() {
                break;
            }
            let mut more = if round == 0 { gateways.to_vec() } else { Vec::new() };
            let unknown = |end: &End| here.contains(&end.0) && self.cluster.node_of(end.0).is_none();
            if round == 0 && ends.iter().any(unknown) {
                more.push(Arc::new(Local::new("this machine")));
            }
            let exact = self.cluster.replies(connections, &ends);
            let whole = self.read_ends(reached, &ends, &ports, exact, more.clone()).await;
            // What was not found so is looked for in whole tables: it may be known to them by another address of the server.
            let missed = self.cluster.unknown(&ends);
            if !whole && !missed.is_empty() {
                self.read_ends(reached, &missed, &ports, None, more).await;
            }
            ends = self.cluster.next_ends(connections);
        }
        let questions = self.cluster.questions(connections);
        self.answer(reached, questions).await;
    }

    /// Reads what the nodes that have these ends know of them; whether that were whole tables.
    async fn read_ends(
        &mut self,
        reached: &Reached,
        ends: &HashSet<End>,
        ports: &BTreeSet<u16>,
        exact: Option<Vec<Tuple>>,
        more: Vec<Arc<dyn Access>>,
    ) -> bool {
        let kept = ends.clone();
        let whole = exact.is_none();
        let wanted = Wanted {
            is: Arc::new(move |_, reply| kept.contains(&(reply.destination, reply.destination_port))),
            exact: exact.map(Arc::new),
            words: ports.iter().map(|port| format!("sport={port} ")).collect(),
        };
        let of_nodes: HashSet<String> =
            ends.iter().filter_map(|end| self.cluster.node_of(end.0)).map(str::to_owned).collect();
        let read = self.read(reached, &wanted, &|node| of_nodes.contains(&node.name), more).await;
        let all_whole = read.iter().all(|node| node.failed.is_some() || node.means != "netlink");
        self.cluster.add_flows(read, ends);
        whole || all_whole
    }

    /// Asks nodes for processes and sockets, all at once.
    pub(super) async fn answer(&mut self, reached: &Reached, questions: Questions) {
        let names: BTreeSet<String> = questions.ends.keys().chain(questions.pods.keys()).cloned().collect();
        let mut asked = Vec::new();
        for name in names {
            let Some(node) = self.nodes.iter().find(|node| node.name == name).cloned() else { continue };
            match self.way(reached, &node).await {
                Ok(way) => asked.push((name, way)),
                Err(why) => self.notes.push(format!("node {name}: its processes could not be looked at: {why}")),
            }
        }
        let (no_ends, no_pods) = (Vec::new(), BTreeSet::new());
        let looks = asked.iter().map(|(name, way)| {
            let ends = questions.ends.get(name).unwrap_or(&no_ends);
            let pods = questions.pods.get(name).unwrap_or(&no_pods);
            async move {
                let processes =
                    async { if ends.is_empty() { None } else { Some(sockets::processes(way.as_ref(), ends).await) } };
                let sockets = async {
                    if pods.is_empty() { Ok(HashMap::new()) } else { sockets::of_pods(way.as_ref(), pods).await }
                };
                tokio::join!(processes, sockets)
            }
        });
        let answers = join_all(looks).await;
        for ((name, _), (processes, sockets)) in asked.iter().zip(answers) {
            match processes {
                Some(Ok(processes)) => self.cluster.add_processes(name, processes),
                Some(Err(why)) => self.notes.push(format!("node {name}: its processes could not be looked at: {why}")),
                None => {}
            }
            match sockets {
                Ok(sockets) => self.cluster.add_sockets(sockets),
                Err(why) => self.notes.push(format!("node {name}: its pods' sockets could not be looked at: {why}")),
            }
        }
    }

    /// The way onto a node, made once.
    pub(super) async fn way(&mut self, reached: &Reached, node: &KnownNode) -> Result<Arc<dyn Access>, String> {
        if let Some(way) = self.ways.get(&node.name) {
            return Ok(way.clone());
        }
        let way = reached.access(node).await.map_err(|error| format!("{error:#}"))?;
        self.ways.insert(node.name.clone(), way.clone());
        Ok(way)
    }

    /// Reads the tables of some nodes, and of more machines; what could not be read, or was read otherwise, becomes a note.
    pub(super) async fn read(
        &mut self,
        reached: &Reached,
        wanted: &Wanted,
        asked: &(dyn Fn(&KnownNode) -> bool + Sync),
        more: Vec<Arc<dyn Access>>,
    ) -> Vec<NodeFlows> {
        let mut ways = more;
        let mut read = Vec::new();
        let nodes: Vec<KnownNode> = self.nodes.iter().filter(|node| asked(node)).cloned().collect();
        for node in nodes {
            match self.way(reached, &node).await {
                Ok(way) => ways.push(way),
                Err(why) => read.push(NodeFlows { node: node.name, failed: Some(why), ..NodeFlows::default() }),
            }
        }
        read.extend(flows::of_nodes(&ways, wanted).await);
        for node in &read {
            let note = match &node.failed {
                Some(why) => format!("node {}: {why}", node.node),
                // Netlink is the rule; what is read by other means is said.
                None if node.means != "netlink" => {
                    format!("node {}: its table of connections was read by `{}`", node.node, node.means)
                }
                None => continue,
            };
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pods_that_are_gone_are_remembered_as_such() {
        let pod = |uid: &str| json!({"metadata": {"uid": uid}});
        let mut memory = Memory::default();
        assert_eq!(memory.with(vec![pod("a"), pod("b")]).len(), 2);
        let gone = |pods: &[Value]| {
            let gone = pods.iter().filter(|pod| pod[GONE].is_i64()).map(|pod| pod["metadata"]["uid"].clone());
            gone.collect::<Vec<Value>>()
        };
        let pods = memory.with(vec![pod("b")]);
        assert_eq!((pods.len(), gone(&pods)), (2, vec![json!("a")]));
        // Back again, such as after a list that was not whole.
        assert!(gone(&memory.with(vec![pod("a"), pod("b")])).is_empty());
        for number in 0..REMEMBERED + 10 {
            memory.0.insert(number.to_string(), json!({"metadata": {"uid": number.to_string()}, GONE: number}));
        }
        assert_eq!(memory.with(vec![pod("a")]).len(), REMEMBERED + 1);
    }
}
