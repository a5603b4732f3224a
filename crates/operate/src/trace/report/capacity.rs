//! How full a server is, how full it gets, and which limits fit. Every figure comes with its arithmetic.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Traced, holder};
use crate::trace::postgres::Told;
use crate::trace::who::{Cluster, Who};

/// What a limit leaves free: one in so many.
const HEADROOM: u64 = 5;
/// A role gets a limit of its own proposed when it has one in so many of all slots.
const LARGE: u64 = 5;

/// How full a server is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capacity {
    /// `max_connections`.
    pub max: u64,
    /// Slots that ordinary roles do not get.
    pub reserved: u64,
    /// Slots that ordinary roles get.
    pub ordinary: u64,
    /// Connections that take a slot.
    pub used: u64,
    /// How many in which state.
    pub states: BTreeMap<String, u64>,
    /// Roles and databases with a limit, and how much of it is used.
    pub limits: Vec<Used>,
}

/// A limit, and how much of it is used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Used {
    /// `role` or `database`.
    pub of: &'static str,
    /// Its name.
    pub name: String,
    /// Its limit.
    pub most: u64,
    /// Its connections.
    pub used: u64,
}

impl Capacity {
    pub(super) fn of(told: &Told) -> Self {
        let slots = || told.backends.iter().filter(|backend| !backend.replica);
        let mut states: BTreeMap<String, u64> = BTreeMap::new();
        for backend in slots() {
            let state = if backend.state.is_empty() { "not told" } else { &backend.state };
            *states.entry(state.to_owned()).or_default() += 1;
        }
        let count =
            |fits: &dyn Fn(&crate::trace::postgres::Backend) -> bool| slots().filter(|one| fits(one)).count() as u64;
        let mut limits = Vec::new();
        // Superusers' limits are not enforced.
        for role in told.roles.iter().filter(|role| !role.superuser) {
            let used = count(&|backend| backend.user == role.name);
            limits.extend(role.most.map(|most| Used { of: "role", name: role.name.clone(), most, used }));
        }
        for database in &told.databases {
            let used = count(&|backend| backend.database == database.name);
            limits.extend(database.most.map(|most| Used { of: "database", name: database.name.clone(), most, used }));
        }
        let reserved = told.superuser_reserved + told.reserved;
        let used = slots().count() as u64;
        Self { max: told.max, reserved, ordinary: told.max.saturating_sub(reserved), used, states, limits }
    }
}

/// A workload that an autoscaler may still grow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Growth {
    /// The workload.
    pub workload: String,
    /// Its autoscaler's maximum.
    pub max_pods: u64,
    /// What one pod holds, at most, as observed.
    pub per_pod: u64,
    /// What it holds now.
    pub now: u64,
    /// What it holds at its maximum.
    pub then: u64,
}

/// How full the server gets when each autoscaler is at its maximum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Projection {
    /// Workloads with an autoscaler.
    pub growing: Vec<Growth>,
    /// What all others hold, as now.
    pub others: u64,
    /// The sum.
    pub total: u64,
    /// Whether ordinary roles run out of slots.
    pub too_many: bool,
    /// In words.
    pub arithmetic: String,
}

impl Projection {
    /// None if nothing that is autoscaled holds connections.
    pub(super) fn of(all: &[Traced], cluster: &Cluster, capacity: &Capacity) -> Option<Self> {
        let growing = growth(all.iter(), cluster);
        if growing.is_empty() {
            return None;
        }
        let now: u64 = growing.iter().map(|one| one.now).sum();
        let others = capacity.used.saturating_sub(now);
        let total = growing.iter().map(|one| one.then).sum::<u64>() + others;
        let sums: Vec<String> = growing
            .iter()
            .map(|one| format!("{} pods x {} of {}", one.max_pods, one.per_pod, one.workload))
            .chain([format!("{others} of others")])
            .collect();
        let arithmetic = format!("{} = {total}, of {} for ordinary roles", sums.join(" + "), capacity.ordinary);
        Some(Self { growing, others, total, too_many: total > capacity.ordinary, arithmetic })
    }
}

fn growth<'a>(all: impl Iterator<Item = &'a Traced>, cluster: &Cluster) -> Vec<Growth> {
    let mut pods: BTreeMap<String, (u64, BTreeMap<&str, u64>)> = BTreeMap::new();
    for traced in all.filter(|traced| !traced.replica) {
        if let Who::Pod { workload, pod, .. } = &traced.holder
            && let Some(autoscaler) = cluster.workloads.autoscaler_of(workload)
        {
            let (max, pods) = pods.entry(workload.to_string()).or_default();
            *max = autoscaler.max;
            *pods.entry(pod).or_default() += 1;
        }
    }
    let one = |(workload, (max_pods, pods)): (String, (u64, BTreeMap<&str, u64>))| {
        let per_pod = pods.values().max().copied().unwrap_or_default();
        // Old pods of a rollout may still be there beyond the maximum.
        let now: u64 = pods.values().sum();
        Growth { workload, max_pods, per_pod, now, then: (max_pods * per_pod).max(now) }
    };
    pods.into_iter().map(one).collect()
}

/// A limit that would fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// The statement.
    pub statement: String,
    /// Why this figure.
    pub arithmetic: String,
}

pub(super) fn proposals(
    all: &[Traced],
    told: &Told,
    projection: Option<&Projection>,
    capacity: &Capacity,
) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    let expected = projection.map_or(capacity.used, |projection| projection.total);
    let needed = expected + expected.div_ceil(HEADROOM) + capacity.reserved;
    let mut max = capacity.max;
    if needed > max {
        max = needed.next_multiple_of(10);
        let source = if projection.is_some() { "when autoscalers are at their maximum" } else { "now" };
        proposals.push(Proposal {
            statement: format!("ALTER SYSTEM SET max_connections = {max};  -- needs a restart, and memory for each"),
            arithmetic: format!(
                "{expected} {source} + {} (a fifth) to spare + {} reserved = {needed}, rounded up; it is {} now",
                expected.div_ceil(HEADROOM),
                capacity.reserved,
                capacity.max
            ),
        });
    }
    let ordinary = max.saturating_sub(capacity.reserved);
    for role in told.roles.iter().filter(|role| !role.superuser) {
        let own: Vec<&Traced> = all.iter().filter(|one| one.user == role.name && !one.replica).collect();
        let now = own.len() as u64;
        if now * LARGE < capacity.max {
            continue;
        }
        let (then, grown) = grown(&own, projection);
        let others = capacity.used - now;
        let room = ordinary.saturating_sub(others + others.div_ceil(HEADROOM));
        let wanted = then + then.div_ceil(HEADROOM);
        let limit = wanted.min(room);
        if limit == 0 || role.most == Some(limit) {
            continue;
        }
        let least = if wanted > room { "what others leave counts: " } else { "" };
        proposals.push(Proposal {
            statement: format!("ALTER ROLE {} CONNECTION LIMIT {limit};", quoted(&role.name)),
            arithmetic: format!(
                "{least}{then} {grown} + {} (a fifth) to spare = {wanted}; others leave {ordinary} - {others} - {} (a fifth of theirs) = {room}",
                then.div_ceil(HEADROOM),
                others.div_ceil(HEADROOM)
            ),
        });
    }
    proposals
}

/// What a role's connections come to when autoscalers are at their maximum.
fn grown(own: &[&Traced], projection: Option<&Projection>) -> (u64, &'static str) {
    let Some(projection) = projection else { return (own.len() as u64, "now") };
    let mut then = own.len() as u64;
    for growing in &projection.growing {
        let held = own.iter().filter(|one| holder(&one.holder).starts_with(&growing.workload)).count() as u64;
        if held > 0 {
            // Its share of the workload's growth.
            then += (growing.then - growing.now) * held / growing.now.max(1);
        }
    }
    (then, "with autoscalers at their maximum")
}

/// A name as SQL takes it.
fn quoted(name: &str) -> String {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
