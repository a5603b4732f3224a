//! How full a server is, how full it gets, and which limits fit. Every figure comes with its arithmetic.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::Traced;
use crate::trace::pooler::Pooler;
use crate::trace::postgres::{Backend, Told};
use crate::trace::who::Who;
use crate::trace::workloads::{Workload, Workloads};

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
    /// The server's own processes that take no slot, by what they are.
    pub others: BTreeMap<String, u64>,
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
    /// Its connections when all that grows is at its maximum.
    pub then: u64,
}

impl Capacity {
    pub(super) fn of(told: &Told, all: &[Traced], projection: &[Growth]) -> Self {
        let slots = || told.backends.iter().filter(|backend| takes_slot(backend, told));
        let mut states: BTreeMap<String, u64> = BTreeMap::new();
        for backend in slots() {
            let state = if backend.state.is_empty() { "not told" } else { &backend.state };
            *states.entry(state.to_owned()).or_default() += 1;
        }
        let limit = |of, name: &str, most: Option<u64>, fits: &dyn Fn(&Traced) -> bool| {
            let own: Vec<&Traced> = all.iter().filter(|one| one.slot && fits(one)).collect();
            let name = name.to_owned();
            most.map(|most| Used { of, name, most, used: own.len() as u64, then: grown(&own, projection) })
        };
        // Superusers' limits are not enforced.
        let roles = told.roles.iter().filter(|role| !role.superuser);
        let roles = roles.filter_map(|role| limit("role", &role.name, role.most, &|one| one.user == role.name));
        let databases = told.databases.iter();
        let databases =
            databases.filter_map(|base| limit("database", &base.name, base.most, &|one| one.database == base.name));
        let reserved = told.superuser_reserved + told.reserved;
        Self {
            max: told.max,
            reserved,
            ordinary: told.max.saturating_sub(reserved),
            used: slots().count() as u64,
            states,
            limits: roles.chain(databases).collect(),
            others: told.others.clone(),
        }
    }
}

/// Whether a connection takes one of `max_connections`.
pub(super) fn takes_slot(backend: &Backend, told: &Told) -> bool {
    !backend.replica || told.replicas_count
}

/// Something that may open more connections than it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Growth {
    /// What: a workload that is autoscaled, or a pooler.
    pub workload: String,
    /// Its autoscaler's maximum, or how many pools a pooler has.
    pub max_pods: u64,
    /// What one pod holds, at most, as observed; or what a pool may hold.
    pub per_pod: u64,
    /// What it holds now.
    pub now: u64,
    /// What it holds at its maximum.
    pub then: u64,
    #[serde(skip)]
    key: Key,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    Workload(Workload),
    Pooler(String),
}

impl Growth {
    fn has(&self, traced: &Traced) -> bool {
        match (&self.key, &traced.holder) {
            (Key::Workload(own), Who::Pod { workload, .. }) => own == workload,
            (Key::Pooler(place), _) => traced.behind.as_ref().is_some_and(|behind| behind.pooler == *place),
            _ => false,
        }
    }

    fn words(&self) -> String {
        match &self.key {
            Key::Workload(_) => format!("{} pods x {} of {}", self.max_pods, self.per_pod, self.workload),
            Key::Pooler(_) => format!("{} of {} pools of {}", self.then, self.max_pods, self.workload),
        }
    }
}

/// How full the server gets when each autoscaler, and each pooler, is at its maximum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Projection {
    /// What may grow.
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
    /// None if nothing that grows holds connections.
    pub(super) fn of(growing: Vec<Growth>, capacity: &Capacity) -> Option<Self> {
        if growing.is_empty() {
            return None;
        }
        let now: u64 = growing.iter().map(|one| one.now).sum();
        let others = capacity.used.saturating_sub(now);
        let total = growing.iter().map(|one| one.then).fold(others, u64::saturating_add);
        let sums: Vec<String> = growing.iter().map(Growth::words).chain([format!("{others} of others")]).collect();
        let arithmetic = format!("{} = {total}, of {} for ordinary roles", sums.join(" + "), capacity.ordinary);
        Some(Self { growing, others, total, too_many: total > capacity.ordinary, arithmetic })
    }
}

/// All that may grow, each connection in one of them at most.
pub(super) fn growing(all: &[Traced], workloads: &Workloads, poolers: &[Pooler]) -> Vec<Growth> {
    let mut growing = scaled(all, workloads);
    let mut places = BTreeSet::new();
    for pooler in poolers.iter().filter(|pooler| places.insert(pooler.place.as_str())) {
        let scaled = |one: &&Traced| growing.iter().any(|growth| growth.has(one));
        let of_pooler = |one: &&Traced| one.slot && one.behind.as_ref().is_some_and(|of| of.pooler == pooler.place);
        let now = all.iter().filter(|one| of_pooler(one) && !scaled(one)).count() as u64;
        if now > 0 && !all.iter().any(|one| of_pooler(&one) && scaled(&one)) {
            growing.push(Growth {
                workload: format!("pooler {}", pooler.place),
                max_pods: pooler.pools.len() as u64,
                per_pod: pooler.pools.iter().map(|pool| pool.size).max().unwrap_or_default(),
                now,
                then: pooler.most().max(now),
                key: Key::Pooler(pooler.place.clone()),
            });
        }
    }
    growing
}

fn scaled(all: &[Traced], workloads: &Workloads) -> Vec<Growth> {
    let mut found: BTreeMap<&Workload, (u64, BTreeMap<&str, u64>)> = BTreeMap::new();
    for traced in all.iter().filter(|traced| traced.slot) {
        if let Who::Pod { workload, pod, .. } = &traced.holder
            && let Some(autoscaler) = workloads.autoscaler_of(workload)
        {
            let (max, pods) = found.entry(workload).or_default();
            *max = autoscaler.max;
            *pods.entry(pod).or_default() += 1;
        }
    }
    let one = |(workload, (max_pods, pods)): (&Workload, (u64, BTreeMap<&str, u64>))| {
        let per_pod = pods.values().max().copied().unwrap_or_default();
        // Old pods of a rollout may still be there beyond the maximum.
        let now: u64 = pods.values().sum();
        Growth {
            workload: workload.to_string(),
            max_pods,
            per_pod,
            now,
            then: max_pods.saturating_mul(per_pod).max(now),
            key: Key::Workload(workload.clone()),
        }
    };
    found.into_iter().map(one).collect()
}

/// What some connections come to when all that grows is at its maximum: each share is rounded up.
pub(super) fn grown(own: &[&Traced], growing: &[Growth]) -> u64 {
    let share = |growth: &Growth| {
        let held = own.iter().filter(|one| growth.has(one)).count() as u64;
        let more = u128::from(growth.then - growth.now) * u128::from(held);
        u64::try_from(more.div_ceil(u128::from(growth.now.max(1)))).unwrap_or(u64::MAX)
    };
    growing.iter().map(share).fold(own.len() as u64, u64::saturating_add)
}
