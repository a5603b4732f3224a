//! One pod, all nodes: filter, score, choose; when none fits, see whether preemption helps.

use std::sync::Arc;

use api::View;

use super::cluster::Cluster;
use super::filters::{Cycle, Refusal, blocked_by_volumes};
use super::message::Diagnosis;
use super::node::NodeInfo;
use super::pod::PodInfo;
use super::preempt::{self, Preemption};
use super::scores;

/// Nodes that are always looked at, however many there are; from then on a part is enough to choose from.
const ENOUGH: usize = 100;

/// Where a pod goes.
#[derive(Debug)]
pub enum Choice {
    /// To this node.
    Node(Arc<str>),
    /// Nowhere now.
    Nowhere {
        /// Why.
        message: String,
        /// What would make room.
        preemption: Option<Preemption>,
    },
}

/// Chooses a node for `pod`; `turn` moves where the search starts, so that equal nodes take turns.
pub fn choose(pod: &Arc<PodInfo>, cluster: &Cluster, view: &View, turn: usize) -> Choice {
    let cycle = Cycle::new(pod, cluster, view);
    let mut diagnosis = Diagnosis::over(cluster.nodes.len());
    diagnosis.everywhere = if diagnosis.n_nodes == 0 { None } else { blocked_by_volumes(&cycle) };
    if diagnosis.n_nodes == 0 || diagnosis.everywhere.is_some() {
        return Choice::Nowhere { message: diagnosis.text(), preemption: None };
    }
    // A node that was made free for the pod is taken before others are looked at.
    if let Some(node) = cluster.nomination(pod.uid()).and_then(|name| cluster.nodes.get(name))
        && check(&cycle, node).is_ok()
    {
        return Choice::Node(Arc::clone(node.name()));
    }
    let (fitting, refused) = filter(&cycle, turn);
    if fitting.is_empty() {
        return nowhere(&cycle, pod, diagnosis, &refused);
    }
    let totals = scores::total(&cycle, &fitting);
    let best = totals.iter().max().copied().unwrap_or_default();
    let first = fitting.iter().zip(&totals).find(|(_, total)| **total == best);
    match first {
        Some((node, _)) => Choice::Node(Arc::clone(node.name())),
        None => Choice::Nowhere { message: diagnosis.text(), preemption: None },
    }
}

type Refused<'c> = Vec<(&'c NodeInfo, Refusal)>;

fn filter<'c>(cycle: &Cycle<'c>, turn: usize) -> (Vec<&'c NodeInfo>, Refused<'c>) {
    let n_nodes = cycle.cluster.nodes.len();
    let enough = if n_nodes <= ENOUGH { n_nodes } else { ENOUGH.max(n_nodes * (50 - (n_nodes / 125).min(45)) / 100) };
    let start = turn % n_nodes.max(1);
    let nodes = cycle.cluster.nodes.values();
    let (mut fitting, mut refused) = (Vec::new(), Vec::new());
    for node in nodes.clone().skip(start).chain(nodes.take(start)) {
        match check(cycle, node) {
            Ok(()) => fitting.push(node),
            Err(refusal) => refused.push((node, refusal)),
        }
        if fitting.len() >= enough {
            break;
        }
    }
    (fitting, refused)
}

/// Whether the pod fits, also beside pods of no lower priority that room is kept for.
fn check(cycle: &Cycle<'_>, node: &NodeInfo) -> Result<(), Refusal> {
    let nominated = cycle.cluster.nominated_before(cycle.pod, node.name());
    if !nominated.is_empty() {
        let mut fuller = node.clone();
        nominated.into_iter().for_each(|other| fuller.add(other));
        let cluster = cycle.cluster.with(fuller.clone());
        Cycle::new(cycle.pod, &cluster, cycle.view).fits(&fuller)?;
    }
    // Pods that room is kept for may never come: it must fit without them as well.
    cycle.fits(node)
}

fn nowhere(cycle: &Cycle<'_>, pod: &Arc<PodInfo>, mut diagnosis: Diagnosis, refused: &Refused<'_>) -> Choice {
    refused.iter().for_each(|(_, refusal)| diagnosis.count(refusal));
    let message = diagnosis.text();
    match preempt::find(cycle, pod, refused) {
        Ok(preemption) => Choice::Nowhere { message, preemption: Some(preemption) },
        Err(why) => Choice::Nowhere { message: format!("{message} preemption: {why}"), preemption: None },
    }
}
