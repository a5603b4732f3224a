//! Stories of a cluster, told with every planner over a server in memory and a virtual clock.
//!
//! Each story runs under several seeds: another order of decisions, other conflicts, other crashes. After each part
//! of a story planning again must change nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod batch;
mod cluster;
mod collection;
mod daemons;
mod deployments;
mod nodes;
mod place;
mod scheduling;
mod server;
mod services;
mod sets;
mod stateful;

use cluster::Cluster;
use k8s_openapi::api::core::v1::Pod;
use kinds::workload::meta::Meta as _;
use kinds::workload::pods;

/// Seeds of each story, unless `SEEDS` says how many.
const SEEDS: u64 = 8;

/// Tells a story under several seeds.
fn told(n_nodes: usize, story: impl Fn(&mut Cluster)) {
    let n_seeds = std::env::var("SEEDS").map_or(SEEDS, |text| text.parse().unwrap());
    for seed in 0..n_seeds {
        story(&mut Cluster::new(seed, n_nodes));
    }
}

/// Pods that count, by label `app`.
fn active<'p>(pods: impl IntoIterator<Item = &'p Pod>, app: &str) -> Vec<&'p Pod> {
    pods.into_iter().filter(|pod| pod.label("app") == Some(app) && pods::active(pod)).collect()
}

/// Pods that serve, by label `app`.
fn n_ready<'p>(pods: impl IntoIterator<Item = &'p Pod>, app: &str) -> usize {
    active(pods, app).into_iter().filter(|pod| pods::ready(pod)).count()
}
