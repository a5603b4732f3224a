//! Topology spread constraints: how unevenly a pod's likes may be spread over zones, nodes or other domains.

use std::collections::BTreeMap;

use api::LabelSelector;
use k8s_openapi::api::core::v1::TopologySpreadConstraint;
use kinds::placement::{affinity, taints};

use super::Rejection;
use crate::scheduler::attempt::Attempt;
use crate::scheduler::nodes::{NodeInfo, Nodes, Placed};

/// One constraint with its likes counted in each domain.
struct Counted {
    key: String,
    max_skew: i64,
    required: bool,
    counts: BTreeMap<String, i64>,
    least: i64,
    /// Whether the pod counts itself.
    own: i64,
}

/// The constraints of one pod.
pub(in crate::scheduler) struct Spread(Vec<Counted>);

impl Spread {
    pub(in crate::scheduler) fn new(placed: &Placed, nodes: &Nodes) -> Self {
        let constraints = placed.pod().spec.as_ref().and_then(|spec| spec.topology_spread_constraints.as_ref());
        Self(constraints.into_iter().flatten().map(|constraint| count(constraint, placed, nodes)).collect())
    }

    /// How many likes there are in a node's domains already, for comparing nodes.
    pub(in crate::scheduler) fn crowding(&self, info: &NodeInfo) -> i64 {
        let preferred = self.0.iter().filter(|one| !one.required);
        preferred
            .map(|one| info.label(&one.key).and_then(|domain| one.counts.get(domain)).copied().unwrap_or_default())
            .sum()
    }
}

fn count(constraint: &TopologySpreadConstraint, placed: &Placed, nodes: &Nodes) -> Counted {
    let header = &placed.object.header;
    let mut selector = constraint.label_selector.clone().unwrap_or_default();
    for key in constraint.match_label_keys.iter().flatten() {
        if let Some(value) = header.label(key) {
            selector.match_labels.get_or_insert_default().insert(key.clone(), value.to_owned());
        }
    }
    // An absent selector matches nothing; a malformed one was refused at the door.
    let selector = constraint.label_selector.as_ref().and_then(|_| LabelSelector::from_object(&selector).ok());
    let like = |other: &Placed| {
        let other = &other.object.header;
        other.key.namespace == header.key.namespace
            && other.deleting.is_none()
            && selector.as_ref().is_some_and(|selector| selector.matches(other))
    };
    let mut counts = BTreeMap::new();
    for info in nodes.known.values().filter(|info| counts_for(constraint, placed, info)) {
        if let Some(domain) = info.label(&constraint.topology_key) {
            let likes = info.pods.values().filter(|other| like(other)).count();
            *counts.entry(domain.to_owned()).or_insert(0) += i64::try_from(likes).unwrap_or(i64::MAX);
        }
    }
    let too_few = i64::from(constraint.min_domains.unwrap_or(1)) > i64::try_from(counts.len()).unwrap_or(i64::MAX);
    let least = if too_few { 0 } else { counts.values().min().copied().unwrap_or_default() };
    Counted {
        key: constraint.topology_key.clone(),
        max_skew: i64::from(constraint.max_skew),
        required: constraint.when_unsatisfiable == "DoNotSchedule",
        least,
        own: i64::from(like(placed)),
        counts,
    }
}

/// Whether a node's pods count: `nodeAffinityPolicy` and `nodeTaintsPolicy` (KEP-3094).
fn counts_for(constraint: &TopologySpreadConstraint, placed: &Placed, info: &NodeInfo) -> bool {
    let Some(spec) = placed.pod().spec.as_ref() else { return false };
    let by_affinity =
        constraint.node_affinity_policy.as_deref() == Some("Ignore") || affinity::required(spec, info.node());
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let by_taints = constraint.node_taints_policy.as_deref() != Some("Honor")
        || taints::untolerated(taints::of(info.node()), tolerations, taints::NO_PLACE).is_none();
    by_affinity && by_taints
}

/// The pod may not make the spread more uneven than each constraint allows.
pub(super) fn rejects(attempt: &Attempt<'_>, info: &NodeInfo) -> Option<Rejection> {
    attempt.spread.0.iter().filter(|one| one.required).find_map(|one| {
        let Some(domain) = info.label(&one.key) else {
            let text = "node(s) didn't match pod topology spread constraints (missing required label)";
            return Some(Rejection::lasting(text));
        };
        let likes = one.counts.get(domain).copied().unwrap_or_default();
        let uneven = likes + one.own - one.least > one.max_skew;
        uneven.then(|| Rejection::curable("node(s) didn't match pod topology spread constraints"))
    })
}
