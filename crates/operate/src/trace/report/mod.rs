//! What is told of a server's connections: who holds how many, how full it is, how full it gets, which limits fit.

mod capacity;

use std::collections::BTreeMap;

use serde::Serialize;

pub use capacity::{Capacity, Growth, Projection, Proposal};

use super::postgres::{Backend, Told};
use super::who::{Cluster, Who};

/// A connection and its holder.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Traced {
    /// The server's process.
    pub pid: i64,
    /// Its role.
    pub user: String,
    /// Its database.
    pub database: String,
    /// What the client calls itself.
    pub application: String,
    /// `idle`, `active`, …
    pub state: String,
    /// For how many seconds it has been in this state.
    pub state_seconds: Option<i64>,
    /// When it began.
    pub since: Option<String>,
    /// The client's address and port, as the server sees them.
    pub client: Option<String>,
    /// Whether it is a replica's, which takes none of `max_connections`.
    pub replica: bool,
    /// Who holds it.
    pub holder: Who,
}

/// Which connections are looked at.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this database.
    pub database: Option<String>,
    /// Only of this role.
    pub user: Option<String>,
    /// Only in this state.
    pub state: Option<String>,
    /// Only those idle (also within a transaction) for at least so many seconds.
    pub min_idle: Option<i64>,
}

impl Filter {
    fn fits(&self, backend: &Backend) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|wanted| wanted == found);
        let idle = self
            .min_idle
            .is_none_or(|least| backend.state.starts_with("idle") && backend.still.is_some_and(|still| still >= least));
        is(&self.database, &backend.database)
            && is(&self.user, &backend.user)
            && is(&self.state, &backend.state)
            && idle
    }
}

/// What one holder has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Holding {
    /// Who: a workload, or words where there is none.
    pub holder: String,
    /// Its pods that hold any.
    pub pods: usize,
    /// Connections.
    pub connections: usize,
    /// Of one pod, at most.
    pub most_per_pod: usize,
    /// How many in which state.
    pub states: BTreeMap<String, usize>,
    /// The longest time that one has been idle, in seconds.
    pub longest_idle: Option<i64>,
}

/// All that is told.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The server, for people.
    pub server: String,
    /// How full it is.
    pub capacity: Capacity,
    /// By workload, most first. Only what the filter leaves.
    pub holders: Vec<Holding>,
    /// By pod, most first. Only what the filter leaves.
    pub pods: Vec<Holding>,
    /// Each connection. Only what the filter leaves.
    pub connections: Vec<Traced>,
    /// How full it gets when each autoscaler is at its maximum.
    pub projection: Option<Projection>,
    /// Which limits would fit, and why.
    pub proposals: Vec<Proposal>,
    /// What was not looked at, or looked at by other means, and why.
    pub notes: Vec<String>,
}

/// Names the holder of every connection and adds up.
pub fn report(server: String, told: &Told, cluster: &Cluster, filter: &Filter, notes: Vec<String>) -> Report {
    let servers: Vec<std::net::IpAddr> = told.address.into_iter().chain(told.dialled.iter().copied()).collect();
    let who = |backend: &Backend| match (backend.client, backend.client_port) {
        _ if backend.own => Who::Trace,
        (Some(client), Some(port)) => cluster.who(client, port, backend.since, &servers, told.port),
        _ if backend.hidden => Who::Unknown {
            reason: format!(
                "the server tells {0} nothing of other roles' connections: GRANT pg_monitor TO {0}",
                told.me
            ),
        },
        _ => Who::Local,
    };
    let all: Vec<Traced> = told.backends.iter().map(|backend| traced(backend, who(backend))).collect();
    let capacity = Capacity::of(told);
    let projection = Projection::of(&all, cluster, &capacity);
    let proposals = capacity::proposals(&all, told, projection.as_ref(), &capacity);
    let fitting = all.iter().zip(&told.backends).filter(|(_, backend)| filter.fits(backend));
    let connections: Vec<Traced> = fitting.map(|(traced, _)| traced.clone()).collect();
    Report {
        server,
        capacity,
        holders: holdings(&connections, &|who| holder(who)),
        pods: holdings(&connections, &pod),
        connections,
        projection,
        proposals,
        notes,
    }
}

fn traced(backend: &Backend, holder: Who) -> Traced {
    let since = backend.since.and_then(|since| jiff::Timestamp::from_second(since).ok());
    let client = backend.client.zip(backend.client_port);
    Traced {
        pid: backend.pid,
        user: backend.user.clone(),
        database: backend.database.clone(),
        application: backend.application.clone(),
        state: if backend.state.is_empty() { "not told".to_owned() } else { backend.state.clone() },
        state_seconds: backend.still,
        since: since.map(|since| since.to_string()),
        client: client.map(|(address, port)| std::net::SocketAddr::new(address, port).to_string()),
        replica: backend.replica,
        holder,
    }
}

/// A holder in words: its workload, where it has one.
pub fn holder(who: &Who) -> String {
    match who {
        Who::Pod { workload, pooler, .. } if *pooler => format!("{workload} (a pooler)"),
        Who::Pod { workload, .. } => workload.to_string(),
        Who::Host { node, process: Some(process), .. } => format!("process {process} on node {node}, no pod"),
        Who::Host { node, candidates, .. } if candidates.len() == 1 => {
            format!("pod {} or another process in the network of node {node}", candidates[0])
        }
        Who::Host { node, .. } => format!("a process in the network of node {node}"),
        Who::Local => "the server's own machine".to_owned(),
        Who::Trace => super::postgres::APPLICATION.to_owned(),
        Who::Outside { address } => format!("{address}, outside this cluster"),
        Who::Unknown { .. } => "not known".to_owned(),
    }
}

/// By pod and node.
fn pod(who: &Who) -> String {
    match who {
        Who::Pod { namespace, pod, node, .. } => format!("{namespace}/{pod} on {node}"),
        other => holder(other),
    }
}

fn holdings(connections: &[Traced], key: &dyn Fn(&Who) -> String) -> Vec<Holding> {
    let mut found: BTreeMap<String, (Holding, BTreeMap<String, usize>)> = BTreeMap::new();
    for traced in connections {
        let (holding, pods) = found.entry(key(&traced.holder)).or_default();
        holding.connections += 1;
        *holding.states.entry(traced.state.clone()).or_default() += 1;
        if traced.state.starts_with("idle") {
            holding.longest_idle = holding.longest_idle.max(traced.state_seconds);
        }
        if let Who::Pod { .. } = &traced.holder {
            *pods.entry(pod(&traced.holder)).or_default() += 1;
        }
    }
    let finished = found.into_iter().map(|(holder, (holding, pods))| Holding {
        holder,
        pods: pods.len(),
        most_per_pod: pods.values().max().copied().unwrap_or_default(),
        ..holding
    });
    let mut all: Vec<Holding> = finished.collect();
    all.sort_by_key(|holding| std::cmp::Reverse(holding.connections));
    all
}

#[cfg(test)]
mod tests;
