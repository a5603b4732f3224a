//! Affinity terms and spread constraints of pods, parsed once.

use std::collections::BTreeSet;

use api::{LabelSelector, View};
use k8s_openapi::api::core::v1::{Namespace, Pod, PodAffinityTerm, TopologySpreadConstraint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use kinds::workload::meta::Meta;

use super::pod::PodInfo;

/// One term of inter-pod affinity: pods by label and namespace, near each other by a node label.
#[derive(Clone, Debug)]
pub struct Term {
    /// The node label whose equal values mean «near».
    pub topology_key: String,
    selector: LabelSelector,
    namespaces: BTreeSet<String>,
    namespace_selector: Option<LabelSelector>,
}

impl Term {
    /// Parses a term of `pod`; a selector that is no selector matches nothing and was refused at the door.
    pub fn of(term: &PodAffinityTerm, pod: &Pod) -> Option<Self> {
        let mut selector = term.label_selector.clone()?;
        let matched = term.match_label_keys.iter().flatten().map(|key| (key, "In"));
        let mismatched = term.mismatch_label_keys.iter().flatten().map(|key| (key, "NotIn"));
        for (key, operator) in matched.chain(mismatched) {
            require(&mut selector, key, operator, pod);
        }
        let mut namespaces: BTreeSet<String> = term.namespaces.iter().flatten().cloned().collect();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.insert(pod.namespace().to_owned());
        }
        Some(Self {
            topology_key: term.topology_key.clone(),
            selector: LabelSelector::from_object(&selector).ok()?,
            namespaces,
            namespace_selector: match &term.namespace_selector {
                Some(selector) => Some(LabelSelector::from_object(selector).ok()?),
                None => None,
            },
        })
    }

    /// Whether the term is about `pod`.
    pub fn selects(&self, pod: &PodInfo, view: &View) -> bool {
        self.selector.matches(&pod.object.header) && self.in_namespace(&pod.object.header.key.namespace, view)
    }

    fn in_namespace(&self, namespace: &str, view: &View) -> bool {
        if self.namespaces.contains(namespace) {
            return true;
        }
        let Some(selector) = &self.namespace_selector else { return false };
        let namespace = view.get::<Namespace>("", namespace);
        selector.is_everything()
            || namespace.is_some_and(|namespace| selector.matches_map(namespace.metadata.labels.as_ref()))
    }
}

/// Adds the pod's own value of `key` to a selector; a pod without the label makes no requirement.
fn require(selector: &mut meta::LabelSelector, key: &str, operator: &str, pod: &Pod) {
    let Some(value) = pod.label(key) else { return };
    selector.match_expressions.get_or_insert_default().push(meta::LabelSelectorRequirement {
        key: key.to_owned(),
        operator: operator.to_owned(),
        values: Some(vec![value.to_owned()]),
    });
}

/// One topology spread constraint.
#[derive(Clone, Debug)]
pub struct Spread {
    /// The node label whose values are the domains.
    pub topology_key: String,
    /// How much fuller than the emptiest a domain may be.
    pub max_skew: i64,
    /// How many domains there should be at least.
    pub min_domains: i64,
    /// Whether a pod that would exceed the skew is not scheduled at all.
    pub hard: bool,
    /// Whether nodes count that the pod's node affinity rules out.
    pub ignores_affinity: bool,
    /// Whether nodes do not count whose taints the pod does not tolerate.
    pub honors_taints: bool,
    selector: LabelSelector,
}

impl Spread {
    /// Parses a constraint of `pod`.
    pub fn of(constraint: &TopologySpreadConstraint, pod: &Pod) -> Option<Self> {
        let mut selector = constraint.label_selector.clone().unwrap_or_default();
        for key in constraint.match_label_keys.iter().flatten() {
            require(&mut selector, key, "In", pod);
        }
        Some(Self {
            topology_key: constraint.topology_key.clone(),
            max_skew: constraint.max_skew.into(),
            min_domains: constraint.min_domains.unwrap_or(1).into(),
            hard: constraint.when_unsatisfiable == "DoNotSchedule",
            ignores_affinity: constraint.node_affinity_policy.as_deref() == Some("Ignore"),
            honors_taints: constraint.node_taints_policy.as_deref() == Some("Honor"),
            selector: LabelSelector::from_object(&selector).ok()?,
        })
    }

    /// Whether the constraint counts `pod`.
    pub fn counts(&self, pod: &PodInfo, namespace: &str) -> bool {
        let header = &pod.object.header;
        &*header.key.namespace == namespace && header.deleting.is_none() && self.selector.matches(header)
    }
}
