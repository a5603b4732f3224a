//! One pod looking for a node: what it needs, which nodes have it, and which of them is best.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use api::View;
use k8s_openapi::api::core::v1::{Pod, PodSpec};

use super::filter::inter_pod::InterPod;
use super::filter::spread::Spread;
use super::filter::{FILTERS, Rejection};
use super::nodes::{NodeInfo, Nodes, Placed};
use super::score;

/// A pod that looks for a node, with what is worth computing once for all nodes.
pub(super) struct Attempt<'a> {
    pub(super) placed: &'a Placed,
    pub(super) nodes: &'a Nodes,
    pub(super) inter_pod: InterPod<'a>,
    pub(super) spread: Spread,
}

/// Why no node takes a pod.
#[derive(Debug, Default)]
pub(super) struct Unfit {
    /// For each node, what rejected it.
    pub(super) rejections: BTreeMap<String, Rejection>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(placed: &'a Placed, nodes: &'a Nodes, view: &'a View) -> Self {
        let spread = Spread::new(placed, nodes);
        Self { placed, nodes, inter_pod: InterPod::new(placed, nodes, view), spread }
    }

    pub(super) fn pod(&self) -> &Pod {
        self.placed.pod()
    }

    pub(super) fn spec(&self) -> &PodSpec {
        self.pod().spec.as_ref().expect("a Placed has a spec")
    }

    /// The best node, or why none will do.
    pub(super) fn decide(&self) -> Result<String, Unfit> {
        let mut unfit = Unfit::default();
        let mut fit: Vec<&NodeInfo> = Vec::new();
        for info in self.nodes.known.values() {
            match self.reject(info) {
                None => fit.push(info),
                Some(rejection) => {
                    unfit.rejections.insert(info.name().to_owned(), rejection);
                }
            }
        }
        score::best(self, &fit).map(|info| info.name().to_owned()).ok_or(unfit)
    }

    /// What the first filter that rejects a node says.
    pub(super) fn reject(&self, info: &NodeInfo) -> Option<Rejection> {
        FILTERS.iter().find_map(|filter| (filter.rejects)(self, info))
    }
}

impl Unfit {
    /// The message for people, without its part about preemption.
    pub(super) fn message(&self) -> String {
        if self.rejections.is_empty() {
            return "no nodes available to schedule pods".to_owned();
        }
        let reasons = self.rejections.values().flat_map(|rejection| &rejection.reasons);
        format!("{}.", counted(self.rejections.len(), reasons.map(String::as_str)))
    }
}

/// `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable`.
pub(super) fn counted<'a>(n_nodes: usize, reasons: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_default() += 1;
    }
    let mut texts: Vec<String> = counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    texts.sort();
    let mut message = format!("0/{n_nodes} nodes are available: ");
    let _infallible = write!(message, "{}", texts.join(", "));
    message
}
