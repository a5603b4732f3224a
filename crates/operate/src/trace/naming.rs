//! Names the holder of each connection, or says why it can't.
//!
//! A name is never guessed. An address is a pod's only for a time: where times are close, or not known, the pod's own
//! sockets decide, and where these can't be looked at either, that is said.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};

use super::cluster::Cluster;
use super::flows::Flow;
use super::join::{End, NoOrigin, Origin, Seen, Server};
use super::pods::Pod;
use super::sockets::Sockets;
use super::who::Who;

/// Clocks that were compared, and seconds that were cut off, leave this much open.
const OFF: i64 = 2;
/// Pods that are named where one of them may be it.
const CANDIDATES: usize = 10;

impl Cluster {
    /// Who holds a connection.
    pub fn who(&self, seen: &Seen, server: &Server) -> Who {
        match self.origin(seen, server) {
            Ok(origin) => self.holder(&origin, seen.since, server),
            Err(reason) => Who::unknown(reason),
        }
    }

    /// Who opened a flow, by the flow alone.
    pub fn client_of(&self, flow: &Flow) -> Who {
        let (origin, server) = own_origin(flow);
        self.holder(&origin, None, &server)
    }

    pub(super) fn origin(&self, seen: &Seen, server: &Server) -> Result<Origin, String> {
        let (address, port) = seen.client;
        match self.table.origin(seen, server) {
            Ok(origin) => Ok(origin),
            // What is a pod's own needs no table.
            Err(_) if self.is_pods(address) => Ok(Origin { end: seen.client, hops: Vec::new(), called: None }),
            Err(NoOrigin::Several(count)) => Err(format!(
                "{address}:{port} is {count} connections, to servers of different addresses, and none is known to be this one's"
            )),
            Err(NoOrigin::Elsewhere(flow)) => Err(format!(
                "the table of {} has an entry for {address}:{port}, but to a server at {1}: if that is an address of this \
                 server, say so: --server {1}",
                flow.node, flow.reply.source
            )),
        }
    }

    fn holder(&self, origin: &Origin, since: Option<i64>, server: &Server) -> Who {
        let address = origin.end.0;
        if self.is_pods(address) {
            return self.pod_at(origin, since);
        }
        if let Some(node) = self.node_of(address) {
            return self.on_node(node, origin, server);
        }
        match origin.hops.last() {
            // The one who asks is outside, whatever was done to it on the way.
            Some(flow) if self.ranges.is_empty() || flow.changes_source() => Who::unknown(format!(
                "{address}, which node {} translated, is no pod's and no node's: the pod that had it is gone, or it is of \
                 another network there",
                flow.node
            )),
            _ => Who::Outside { address: address.to_string() },
        }
    }

    /// The pod that had an address when a connection began.
    fn pod_at(&self, origin: &Origin, since: Option<i64>) -> Who {
        let (address, port) = origin.end;
        let there: Vec<&Pod> = self.at_address(address).collect();
        // What its client has closed, the client's kernel need not have any more.
        let asked = |pod: &Pod| if half_closed(origin) { None } else { self.sockets.get(&pod.holder.uid) };
        if let Some(pod) = there.iter().find(|pod| pod.lives() && holds(asked(pod), origin.end)) {
            return self.named(pod, Some(port));
        }
        // The flow's own time is by the clock of the node, as the pod's is.
        let since = origin.hops.last().and_then(|flow| flow.began).or(since);
        let denied = |pod: &&&Pod| pod.lives() && asked(pod).is_some();
        let Some(since) = since else {
            let mut open = there.iter().filter(|pod| pod.lives() && !denied(pod));
            return match (open.next(), open.next()) {
                (Some(pod), None) => self.named(pod, Some(port)),
                _ => gone(address, &there),
            };
        };
        let fitting: Vec<&&Pod> =
            there.iter().filter(|pod| !denied(pod) && pod.was_there(since, OFF, &there)).collect();
        let surely: Vec<&&&Pod> = fitting.iter().filter(|pod| pod.was_there(since, 0, &there)).collect();
        match (fitting.as_slice(), surely.as_slice()) {
            ([], _) => gone(address, &there),
            (_, [pod]) if fitting.len() == 1 => self.named(pod, Some(port)),
            ([pod], _) if !pod.lives() => self.named(pod, Some(port)),
            ([pod], _) => Who::Unknown {
                reason: format!(
                    "pod {} got {address} at about the time when the connection began, and its own sockets could not be looked at",
                    pod.name()
                ),
                candidates: vec![pod.name()],
            },
            (several, _) => Who::Unknown {
                reason: format!("{address} went from one pod to another at about the time when the connection began"),
                candidates: several.iter().take(CANDIDATES).map(|pod| pod.name()).collect(),
            },
        }
    }

    /// An address of a node, or of its pod network though no pod is known to have had it.
    fn on_node(&self, node: &str, origin: &Origin, server: &Server) -> Who {
        if let Some(who) = self.on_host(node, origin.end) {
            return who;
        }
        let own = self.nodes.contains_key(&origin.end.0);
        if !own {
            let looked = if self.looked.contains(node) {
                ""
            } else {
                ", or the node itself uses it: its processes were not looked at"
            };
            return Who::unknown(format!(
                "{} is of the pod network of node {node}: the pod that had it is gone{looked}",
                origin.end.0
            ));
        }
        // What another node or a gateway translated has that node's table still before it.
        if origin.hops.last().is_some_and(|flow| flow.node == node) {
            return self.host(node.to_owned());
        }
        self.no_flow(node, server)
    }

    pub(super) fn named(&self, pod: &Pod, port: Option<u16>) -> Who {
        let address = pod.holder.addresses.first();
        Who::Pod {
            namespace: pod.holder.namespace.clone(),
            pod: pod.holder.name.clone(),
            container: pod.only.clone(),
            node: pod.holder.node.clone(),
            workload: pod.workload.clone(),
            socket: address.zip(port).map(|(address, port)| SocketAddr::new(*address, port).to_string()),
            pooler: pod.holder.pooler,
            gone: !pod.lives(),
        }
    }

    pub(super) fn host(&self, node: String) -> Who {
        let there = |pod: &&Pod| pod.holder.host_network && pod.holder.node == node && pod.lives();
        let candidates = self.pods.iter().filter(there).map(Pod::name).collect();
        Who::Host { node, candidates, process: None }
    }

    /// Whose process has a node's own end of a connection, if its processes are known.
    fn on_host(&self, node: &str, end: End) -> Option<Who> {
        let process = self.processes.get(&(node.to_owned(), end))?;
        let uid = process.pod.as_deref().unwrap_or_default();
        let Some(pod) = self.pods.iter().find(|pod| pod.holder.uid == uid && !uid.is_empty()) else {
            let words = format!("{} ({})", process.name, process.pid);
            return Some(Who::Host { node: node.to_owned(), candidates: Vec::new(), process: Some(words) });
        };
        let mut who = self.named(pod, None);
        if let Who::Pod { container, socket, .. } = &mut who {
            let named = process.container.as_ref().and_then(|id| pod.ids.get(id));
            *container = named.or(container.as_ref()).cloned();
            *socket = Some(SocketAddr::from(end).to_string());
        }
        Some(who)
    }

    /// The table of a node has nothing of a connection: what is left is who there has one that no entry accounts for.
    fn no_flow(&self, node: &str, server: &Server) -> Who {
        if let Some(why) = self.unread.get(node) {
            return Who::unknown(format!(
                "it comes through node {node}, whose table of connections could not be read: {why}"
            ));
        }
        let accounted: HashSet<End> =
            self.table.flows().map(|flow| (flow.original.source, flow.original.source_port)).collect();
        let called: HashSet<End> =
            self.table.flows().map(|flow| (flow.original.destination, flow.original.destination_port)).collect();
        let towards = |remote: &End| {
            called.contains(remote)
                || (server.ports.contains(&remote.1)
                    && (server.addresses.is_empty() || server.addresses.contains(&remote.0)))
        };
        let mut candidates = Vec::new();
        for pod in self.pods.iter().filter(|pod| pod.holder.node == node) {
            for (local, remote) in self.sockets.get(&pod.holder.uid).into_iter().flatten() {
                if towards(remote) && !accounted.contains(local) {
                    candidates.push(format!("{} from {}", pod.name(), SocketAddr::from(*local)));
                }
            }
        }
        candidates.sort();
        let more = candidates.len().saturating_sub(CANDIDATES);
        let left = match candidates.len() {
            0 => "; no pod there has a connection to the server that no entry accounts for".to_owned(),
            count => format!("; {count} connections of pods there have no entry either, this may be one of them"),
        };
        candidates.truncate(CANDIDATES);
        if more > 0 {
            candidates.push(format!("and {more} more"));
        }
        let reason = format!(
            "it comes through node {node}, whose table of connections has no entry for it: it was idle for longer than \
             nf_conntrack_tcp_timeout_established, the table was flushed, or the client is gone{left}"
        );
        Who::Unknown { reason, candidates }
    }
}

/// The origin that a flow tells by itself, and its server.
pub(super) fn own_origin(flow: &Flow) -> (Origin, Server) {
    let called = (flow.original.destination, flow.original.destination_port);
    let origin = Origin {
        end: (flow.original.source, flow.original.source_port),
        hops: vec![flow.clone()],
        called: Some(called),
    };
    (origin, Server { addresses: vec![flow.reply.source, called.0], ports: vec![flow.reply.source_port, called.1] })
}

fn half_closed(origin: &Origin) -> bool {
    origin.hops.last().is_some_and(|flow| !flow.is_open() && !flow.recorded)
}

fn holds(sockets: Option<&Sockets>, end: End) -> bool {
    sockets.is_some_and(|sockets| sockets.contains_key(&end))
}

fn gone(address: IpAddr, there: &[&Pod]) -> Who {
    let now = there.iter().filter(|pod| pod.lives()).max_by_key(|pod| pod.holder.since);
    let now = now.map(|pod| format!(": now {} has it", pod.name())).unwrap_or_default();
    Who::unknown(format!("the pod that had {address} when the connection began is gone{now}"))
}

#[cfg(test)]
mod tests;
