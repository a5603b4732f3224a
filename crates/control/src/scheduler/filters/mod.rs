//! What rules a node out for a pod: one file per filter, in the order in which they are asked.

mod inter_pod_affinity;
mod node_affinity;
mod node_name;
mod node_ports;
mod node_resources;
mod node_unschedulable;
mod taint_toleration;
mod topology_spread;
mod volume_binding;

use std::borrow::Cow;

use api::View;

use super::cluster::Cluster;
use super::node::NodeInfo;
use super::pod::PodInfo;

pub use inter_pod_affinity::Neighbours;
pub use topology_spread::Domains;
pub use volume_binding::blocked as blocked_by_volumes;

/// Why a node is ruled out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// In Kubernetes' words, as they are counted over nodes.
    pub reasons: Vec<Cow<'static, str>>,
    /// Whether the pod would not fit either if other pods went.
    pub helpless: bool,
}

impl Refusal {
    /// Ruled out for `reason`, whatever other pods do.
    pub fn helpless(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reasons: vec![reason.into()], helpless: true }
    }

    /// Ruled out for `reason` because of other pods.
    pub fn full(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reasons: vec![reason.into()], helpless: false }
    }
}

/// One filter.
pub struct Filter {
    /// Name of the plugin of Kubernetes' scheduler that does the same.
    pub name: &'static str,
    /// Whether the pod may run on the node.
    pub fits: fn(&Cycle<'_>, &NodeInfo) -> Result<(), Refusal>,
}

/// Every filter; the first that rules a node out says why.
pub const FILTERS: &[Filter] = &[
    node_unschedulable::FILTER,
    node_name::FILTER,
    taint_toleration::FILTER,
    node_affinity::FILTER,
    node_ports::FILTER,
    node_resources::FILTER,
    volume_binding::FILTER,
    topology_spread::FILTER,
    inter_pod_affinity::FILTER,
];

/// What one pod's scheduling goes by.
pub struct Cycle<'c> {
    /// The pod.
    pub pod: &'c PodInfo,
    /// The nodes.
    pub cluster: &'c Cluster,
    /// Everything else.
    pub view: &'c View,
    /// Pods that attract or repel it.
    pub neighbours: Neighbours,
    /// How full the domains of its spread constraints are.
    pub domains: Domains,
}

impl<'c> Cycle<'c> {
    /// Prepares to schedule `pod`.
    pub fn new(pod: &'c PodInfo, cluster: &'c Cluster, view: &'c View) -> Self {
        Self {
            neighbours: Neighbours::of(pod, cluster, view),
            domains: Domains::of(pod, cluster),
            pod,
            cluster,
            view,
        }
    }

    /// Asks every filter about a node in the state given.
    ///
    /// # Errors
    /// When one rules it out.
    pub fn fits(&self, node: &NodeInfo) -> Result<(), Refusal> {
        FILTERS.iter().try_for_each(|filter| (filter.fits)(self, node))
    }
}
