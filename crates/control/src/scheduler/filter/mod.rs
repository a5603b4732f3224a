//! What a node must have for a pod: one filter for each question, asked in this order.

pub(super) mod inter_pod;
mod node;
mod room;
pub(super) mod spread;

use super::attempt::Attempt;
use super::nodes::NodeInfo;

/// Why a node is not for a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::scheduler) struct Rejection {
    /// In Kubernetes' words, to be counted over nodes.
    pub(in crate::scheduler) reasons: Vec<String>,
    /// Whether pods that end could change it.
    pub(in crate::scheduler) curable: bool,
}

impl Rejection {
    fn curable(reason: &str) -> Self {
        Self { reasons: vec![reason.to_owned()], curable: true }
    }

    fn lasting(reason: impl Into<String>) -> Self {
        Self { reasons: vec![reason.into()], curable: false }
    }
}

/// One question about a node.
pub(in crate::scheduler) struct Filter {
    /// Says why the node is not for the pod, or nothing.
    pub(in crate::scheduler) rejects: fn(&Attempt<'_>, &NodeInfo) -> Option<Rejection>,
}

/// All filters, the cheap and final ones first.
pub(in crate::scheduler) const FILTERS: &[Filter] = &[
    Filter { rejects: node::unschedulable },
    Filter { rejects: node::name },
    Filter { rejects: node::taints },
    Filter { rejects: node::affinity },
    Filter { rejects: room::ports },
    Filter { rejects: room::resources },
    Filter { rejects: spread::rejects },
    Filter { rejects: inter_pod::rejects },
];
