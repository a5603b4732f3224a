//! What is told of a server's connections: who holds how many, how full it is, how full it gets, which limits fit.

mod capacity;
mod limits;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;

pub use capacity::{Capacity, Growth, Projection, Used};
pub use limits::Proposal;

use super::cluster::Cluster;
use super::join::{Seen, Server};
use super::pooler::{Behind, Pool, Pooler};
use super::postgres::{Backend, Told};
use super::who::Who;

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
    /// Who is behind it, if it is a pooler's whose console was asked.
    pub behind: Option<Behind>,
    #[serde(skip)]
    slot: bool,
    #[serde(skip)]
    began: Option<i64>,
}

impl Traced {
    /// When it began, in seconds since 1970 by the server's clock: with its process it is the same one.
    pub fn began(&self) -> Option<i64> {
        self.began
    }
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

/// A pooler whose console was asked.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pooled {
    /// Where its console is.
    pub pooler: String,
    /// Its pools.
    pub pools: Vec<Pool>,
    /// Its clients by workload, most first.
    pub clients: Vec<Holding>,
}

/// What is told beside the server's own words, and which part of it.
#[derive(Default)]
pub struct Around {
    /// The server, for people.
    pub server: String,
    /// Its ends, under which flows know it.
    pub ends: Server,
    /// Which connections are listed.
    pub filter: Filter,
    /// Poolers that were asked.
    pub poolers: Vec<Pooler>,
    /// Connections that began and ended since the last look.
    pub short: Vec<Who>,
    /// What was not looked at, or looked at by other means, and why.
    pub notes: Vec<String>,
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
    /// Poolers whose consoles were asked.
    pub poolers: Vec<Pooled>,
    /// With `--watch`: by workload, connections that began and ended since the last look. None without the kernel's events.
    pub short: Vec<Holding>,
    /// How full it gets when each autoscaler is at its maximum.
    pub projection: Option<Projection>,
    /// Which limits would fit, and why.
    pub proposals: Vec<Proposal>,
    /// What was not looked at, or looked at by other means, and why.
    pub notes: Vec<String>,
}

/// What has to be named: connections of the server and of its poolers.
pub fn connections(told: &Told, poolers: &[Pooler], ends: &Server) -> Vec<(Seen, Server)> {
    let seen = |backend: &Backend| {
        let client = backend.client.zip(backend.client_port)?;
        let open = !backend.own && !backend.hidden;
        open.then(|| (Seen { client, since: backend.began(told) }, ends.clone()))
    };
    told.backends.iter().filter_map(seen).chain(poolers.iter().flat_map(Pooler::connections)).collect()
}

/// Names the holder of every connection and adds up.
pub fn report(told: &Told, cluster: &Cluster, around: Around) -> Report {
    let all: Vec<Traced> = told.backends.iter().map(|backend| traced(backend, told, cluster, &around)).collect();
    let growing = capacity::growing(&all, &cluster.workloads, &around.poolers);
    let capacity = Capacity::of(told, &all, &growing);
    let proposals = limits::proposals(&all, told, &growing, &capacity);
    let projection = Projection::of(growing, &capacity);
    let fitting = all.iter().zip(&told.backends).filter(|(_, backend)| around.filter.fits(backend));
    let connections: Vec<Traced> = fitting.map(|(traced, _)| traced.clone()).collect();
    let held = |one: &Traced| Held::of(&one.holder, &one.state, one.state_seconds);
    let pooled = |pooler: &Pooler| Pooled {
        pooler: pooler.place.clone(),
        pools: pooler.pools.clone(),
        clients: holdings(pooler.clients.iter().map(|one| Held::of(&one.who(cluster), &one.state, None)), &holder),
    };
    Report {
        server: around.server,
        capacity,
        holders: holdings(connections.iter().map(held), &holder),
        pods: holdings(connections.iter().map(held), &pod),
        connections,
        poolers: around.poolers.iter().map(pooled).collect(),
        short: holdings(around.short.iter().map(|who| Held::of(who, "ended", None)), &holder),
        projection,
        proposals,
        notes: around.notes,
    }
}

fn traced(backend: &Backend, told: &Told, cluster: &Cluster, around: &Around) -> Traced {
    let holder = match backend.client.zip(backend.client_port) {
        _ if backend.own => Who::Trace,
        Some(client) => cluster.who(&Seen { client, since: backend.began(told) }, &around.ends),
        _ if backend.hidden => Who::Unknown {
            reason: format!(
                "the server tells {0} nothing of other roles' connections: GRANT pg_monitor TO {0}",
                told.me
            ),
            candidates: Vec::new(),
        },
        None => Who::Local,
    };
    let socket = match &holder {
        Who::Pod { socket, .. } => socket.as_deref(),
        _ => None,
    };
    let behind = around.poolers.iter().find_map(|pooler| {
        let upstream = pooler.upstream(backend, socket, &around.ends)?;
        Some(pooler.behind(upstream, cluster))
    });
    let since = backend.since.and_then(|since| jiff::Timestamp::from_second(since).ok());
    Traced {
        pid: backend.pid,
        user: backend.user.clone(),
        database: backend.database.clone(),
        application: backend.application.clone(),
        state: if backend.state.is_empty() { "not told".to_owned() } else { backend.state.clone() },
        state_seconds: backend.still,
        since: since.map(|since| since.to_string()),
        client: backend.client.zip(backend.client_port).map(|end| SocketAddr::from(end).to_string()),
        replica: backend.replica,
        holder: pooler_too(holder, behind.is_some()),
        behind,
        slot: capacity::takes_slot(backend, told),
        began: backend.since,
    }
}

/// What a console claims as its own is a pooler's, whatever it is called.
fn pooler_too(mut who: Who, pooled: bool) -> Who {
    if let Who::Pod { pooler, .. } = &mut who {
        *pooler |= pooled;
    }
    who
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
        Who::Pod { namespace, pod, node, gone, .. } => {
            format!("{namespace}/{pod} on {node}{}", if *gone { " (gone)" } else { "" })
        }
        other => holder(other),
    }
}

/// A connection as it is added up.
struct Held {
    holder: Who,
    state: String,
    idle: Option<i64>,
}

impl Held {
    fn of(holder: &Who, state: &str, seconds: Option<i64>) -> Self {
        let idle = seconds.filter(|_| state.starts_with("idle"));
        Self { holder: holder.clone(), state: state.to_owned(), idle }
    }
}

fn holdings(all: impl Iterator<Item = Held>, key: &dyn Fn(&Who) -> String) -> Vec<Holding> {
    let mut found: BTreeMap<String, (Holding, BTreeMap<String, usize>)> = BTreeMap::new();
    for held in all {
        let (holding, pods) = found.entry(key(&held.holder)).or_default();
        holding.connections += 1;
        *holding.states.entry(held.state).or_default() += 1;
        holding.longest_idle = holding.longest_idle.max(held.idle);
        if let Who::Pod { .. } = &held.holder {
            *pods.entry(pod(&held.holder)).or_default() += 1;
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
