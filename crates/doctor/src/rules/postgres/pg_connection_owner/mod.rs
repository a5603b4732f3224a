//! Which pods hold the backends that PostgreSQL shows: the join of its activity with the nodes' connection tables.

use super::cluster;
use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::owner::{Connection, Network, Owner};
use crate::read::conntrack::Seen;
use crate::read::postgres::Backend;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0703",
    key: "pg-connection-owner",
    title: "who holds the connections",
    severity: Severity::Note,
    page: include_str!("page.md"),
    check,
};

/// What is still to be asked, and what was found.
#[derive(Default)]
struct Answer {
    told: Vec<String>,
    needs: Vec<String>,
}

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let remote = |backend: &&Backend| backend.client.is_some() && backend.client_port.is_some();
    let backends: Vec<&Backend> = read.postgres.backends.iter().filter(remote).collect();
    if backends.is_empty() {
        return;
    }
    let network = cluster::network(evidence);
    if network.pods.is_empty() && network.flows.is_empty() {
        return;
    }
    let mut answer = Answer::default();
    for backend in &backends {
        one(evidence, &network, backend, &mut answer);
    }
    let place = match backends.as_slice() {
        [one] => Place::Service(format!("backend {}", one.pid)),
        several => {
            let pids: Vec<&str> = several.iter().map(|backend| backend.pid.as_str()).take(20).collect();
            Place::Service(format!("backends {}", pids.join(", ")))
        }
    };
    let cause = answer.told.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("; ");
    let finding = if answer.needs.is_empty() { findings.proven(place, cause) } else { findings.open(place, cause) };
    let needs: Vec<&str> = answer.needs.iter().map(String::as_str).collect();
    finding.needs(&needs);
    for backend in backends.iter().take(20) {
        finding.quote(backend.item, backend.line);
    }
    finding.fix(Fix::manual("deal with the named pods (size of the pool, a leak); the database sees their nodes only"));
}

fn one(evidence: &Evidence, network: &Network, backend: &Backend, answer: &mut Answer) {
    let (Some(client), Some(client_port)) = (backend.client, backend.client_port) else { return };
    let seen = Seen { client, client_port, server: None, server_port: None };
    let connection = Connection { seen, since: backend.start };
    let pid = &backend.pid;
    let (told, needs): (String, Vec<String>) = match network.owner(&connection) {
        Owner::Pod { pod, port } if network.pods[pod].pooler => {
            let name = cluster::name(&network.pods[pod]);
            match port.and_then(|port| cluster::behind_pooler(evidence, network, port)) {
                Some(owner) => (format!("backend {pid} = {owner}, by the pooler {name}"), Vec::new()),
                None => (
                    format!("backend {pid} = pod {name}, a pooler; who is behind it, only the pooler knows"),
                    vec![format!("SHOW CLIENTS and SHOW SERVERS of the pgbouncer {name} (addr, port, ptr, link)")],
                ),
            }
        }
        Owner::Pod { pod, .. } => (format!("backend {pid} = pod {}", cluster::name(&network.pods[pod])), Vec::new()),
        Owner::HostNetwork { node, pods } => match cluster::by_socket(evidence, network, client_port) {
            Some(owner) => (format!("backend {pid} = {owner} on {node}"), Vec::new()),
            None => {
                let names: Vec<String> = pods.iter().map(|pod| cluster::name(&network.pods[*pod])).collect();
                let names = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
                let told = format!("backend {pid} = a hostNetwork pod{names} or a process outside Kubernetes on {node}");
                let socket = format!("ss -tnp on {node} for port {client_port} (process id)");
                (told, vec![socket, "/proc/<pid>/cgroup of that process (pod uid)".to_owned()])
            }
        },
        Owner::NoFlow { node } => (
            format!("backend {pid} comes from the node {node}, in whose connection table no open flow fits"),
            vec![format!("conntrack -L of {node} (reply dport {client_port})"), format!("ss -tnp on {node} for port {client_port}")],
        ),
        Owner::NoPod { address } => (
            format!("backend {pid} comes from {address}, which was no pod's address when it began"),
            vec![
                format!("kubectl get pods -A -o wide: who has or had {address}"),
                format!("leases of the pod network (/var/lib/cni/networks) and events about {address}"),
            ],
        ),
        Owner::Stranger => (
            format!("backend {pid} comes from {client}, which is no node's and no pod's address: it was translated elsewhere, or the client is outside the cluster"),
            vec![
                format!("who owns {client} (NAT gateway, firewall, a person's machine)"),
                format!("translation table of that machine for the ports {client_port}"),
                "conntrack of all nodes".to_owned(),
            ],
        ),
    };
    answer.told.push(told);
    for need in needs {
        if !answer.needs.contains(&need) && answer.needs.len() < 12 {
            answer.needs.push(need);
        }
    }
}
