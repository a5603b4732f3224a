//! What the node itself is: its name, whether it is cordoned, its taints and labels.

use k8s_openapi::api::core::v1::{Taint, Toleration};
use kinds::placement::{affinity as node_affinity, taints as node_taints};

use super::Rejection;
use crate::scheduler::attempt::Attempt;
use crate::scheduler::nodes::NodeInfo;

fn tolerations<'a>(attempt: &'a Attempt<'_>) -> &'a [Toleration] {
    attempt.spec().tolerations.as_deref().unwrap_or_default()
}

/// A cordoned node takes only pods that tolerate the taint of cordoned nodes.
pub(super) fn unschedulable(attempt: &Attempt<'_>, info: &NodeInfo) -> Option<Rejection> {
    if info.node().spec.as_ref().and_then(|spec| spec.unschedulable) != Some(true) {
        return None;
    }
    let taint =
        Taint { key: node_taints::UNSCHEDULABLE.to_owned(), effect: "NoSchedule".to_owned(), ..Taint::default() };
    let tolerated = tolerations(attempt).iter().any(|toleration| node_taints::tolerates(toleration, &taint));
    (!tolerated).then(|| Rejection::lasting("node(s) were unschedulable"))
}

/// `spec.nodeName` of a pod that is still to be placed names the only node that will do.
pub(super) fn name(attempt: &Attempt<'_>, info: &NodeInfo) -> Option<Rejection> {
    let wanted = attempt.spec().node_name.as_deref().unwrap_or_default();
    let wrong = !wanted.is_empty() && wanted != info.name();
    wrong.then(|| Rejection::lasting("node(s) didn't match the requested node name"))
}

/// Taints that keep pods away must be tolerated.
pub(super) fn taints(attempt: &Attempt<'_>, info: &NodeInfo) -> Option<Rejection> {
    let taints = node_taints::of(info.node());
    let taint = node_taints::untolerated(taints, tolerations(attempt), node_taints::NO_PLACE)?;
    let value = taint.value.as_deref().unwrap_or_default();
    Some(Rejection::lasting(format!("node(s) had untolerated taint {{{}: {value}}}", taint.key)))
}

/// `nodeSelector` and required node affinity.
pub(super) fn affinity(attempt: &Attempt<'_>, info: &NodeInfo) -> Option<Rejection> {
    let matches = node_affinity::required(attempt.spec(), info.node());
    (!matches).then(|| Rejection::lasting("node(s) didn't match Pod's node affinity/selector"))
}
