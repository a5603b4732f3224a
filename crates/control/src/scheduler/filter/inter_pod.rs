//! Affinity and anti-affinity between pods: in the same domain as some, not in the same domain as others.

use std::collections::BTreeSet;

use api::{LabelSelector, View};
use k8s_openapi::api::core::v1::{Namespace, PodAffinityTerm};
use kinds::workload::meta::Meta;

use super::Rejection;
use crate::scheduler::attempt::Attempt;
use crate::scheduler::nodes::{NodeInfo, Nodes, Placed};

/// Domains: topology key and value.
type Domains = BTreeSet<(String, String)>;

/// One required term and where the pods are that it is about.
struct Term {
    key: String,
    domains: BTreeSet<String>,
    /// The pod itself is one of those that the term is about.
    own: bool,
}

/// What other pods mean for one pod.
pub(in crate::scheduler) struct InterPod<'a> {
    wants: Vec<Term>,
    avoids: Vec<Term>,
    /// Domains that placed pods keep this pod out of.
    forbidden: Domains,
    preferred: Vec<(i64, &'a PodAffinityTerm)>,
    weights: std::collections::BTreeMap<(String, String), i64>,
}

impl<'a> InterPod<'a> {
    pub(in crate::scheduler) fn new(placed: &'a Placed, nodes: &Nodes, view: &View) -> Self {
        let affinity = placed.pod().spec.as_ref().and_then(|spec| spec.affinity.as_ref());
        let near = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
        let far = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
        let wants = near.and_then(|near| near.required_during_scheduling_ignored_during_execution.as_ref());
        let avoids = far.and_then(|far| far.required_during_scheduling_ignored_during_execution.as_ref());
        let likes = near.and_then(|near| near.preferred_during_scheduling_ignored_during_execution.as_ref());
        let dislikes = far.and_then(|far| far.preferred_during_scheduling_ignored_during_execution.as_ref());
        let preferred = likes.into_iter().flatten().map(|one| (i64::from(one.weight), &one.pod_affinity_term));
        let disliked = dislikes.into_iter().flatten().map(|one| (-i64::from(one.weight), &one.pod_affinity_term));
        let mut inter_pod = Self {
            wants: wants.into_iter().flatten().map(|term| locate(term, placed, nodes, view)).collect(),
            avoids: avoids.into_iter().flatten().map(|term| locate(term, placed, nodes, view)).collect(),
            forbidden: forbidden(placed, nodes, view),
            preferred: preferred.chain(disliked).collect(),
            weights: std::collections::BTreeMap::new(),
        };
        for (weight, term) in &inter_pod.preferred {
            let matcher = Matcher::new(term, placed, view);
            for (info, _) in nodes.placed().filter(|(_, other)| matcher.matches(other)) {
                if let Some(domain) = info.label(&term.topology_key) {
                    let slot = (term.topology_key.clone(), domain.to_owned());
                    *inter_pod.weights.entry(slot).or_default() += weight;
                }
            }
        }
        inter_pod
    }

    /// How much the pod likes a node for the pods around it.
    pub(in crate::scheduler) fn preference(&self, info: &NodeInfo) -> i64 {
        let here = |((key, domain), _): &(&(String, String), &i64)| info.label(key) == Some(domain.as_str());
        self.weights.iter().filter(here).map(|(_, weight)| weight).sum()
    }

    /// Whether the pod has any preference about pods around it.
    pub(in crate::scheduler) fn prefers(&self) -> bool {
        !self.preferred.is_empty()
    }
}

/// Which pods a term of a pod is about.
struct Matcher {
    selector: Option<LabelSelector>,
    namespaces: BTreeSet<String>,
}

impl Matcher {
    fn new(term: &PodAffinityTerm, owner: &Placed, view: &View) -> Self {
        let header = &owner.object.header;
        let mut namespaces: BTreeSet<String> = term.namespaces.iter().flatten().cloned().collect();
        match &term.namespace_selector {
            None if namespaces.is_empty() => {
                namespaces.insert(header.key.namespace.to_string());
            }
            None => {}
            Some(selector) => {
                if let Ok(selector) = LabelSelector::from_object(selector) {
                    let chosen =
                        view.list::<Namespace>().filter(|one| selector.matches_map(one.metadata.labels.as_ref()));
                    namespaces.extend(chosen.map(|namespace| namespace.name().to_owned()));
                }
            }
        }
        let mut selector = term.label_selector.clone();
        if let Some(selector) = &mut selector {
            for key in term.match_label_keys.iter().flatten() {
                if let Some(value) = header.label(key) {
                    selector.match_labels.get_or_insert_default().insert(key.clone(), value.to_owned());
                }
            }
        }
        let selector = selector.and_then(|selector| LabelSelector::from_object(&selector).ok());
        Self { selector, namespaces }
    }

    fn matches(&self, other: &Placed) -> bool {
        let header = &other.object.header;
        self.namespaces.contains(&*header.key.namespace)
            && self.selector.as_ref().is_some_and(|selector| selector.matches(header))
    }
}

fn locate(term: &PodAffinityTerm, placed: &Placed, nodes: &Nodes, view: &View) -> Term {
    let matcher = Matcher::new(term, placed, view);
    let domains = nodes
        .placed()
        .filter(|(_, other)| matcher.matches(other))
        .filter_map(|(info, _)| info.label(&term.topology_key).map(str::to_owned))
        .collect();
    Term { key: term.topology_key.clone(), domains, own: matcher.matches(placed) }
}

/// Domains of placed pods whose anti-affinity is about this pod.
fn forbidden(placed: &Placed, nodes: &Nodes, view: &View) -> Domains {
    let mut found = Domains::new();
    if !nodes.any_repelling() {
        return found;
    }
    for (info, other) in nodes.placed().filter(|(_, other)| other.repels) {
        let affinity = other.pod().spec.as_ref().and_then(|spec| spec.affinity.as_ref());
        let far = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
        let terms = far.and_then(|far| far.required_during_scheduling_ignored_during_execution.as_ref());
        for term in terms.into_iter().flatten() {
            if let Some(domain) = info.label(&term.topology_key)
                && Matcher::new(term, other, view).matches(placed)
            {
                found.insert((term.topology_key.clone(), domain.to_owned()));
            }
        }
    }
    found
}

/// Required terms of the pod, and of those that are placed.
pub(super) fn rejects(attempt: &Attempt<'_>, info: &NodeInfo) -> Option<Rejection> {
    let inter_pod = &attempt.inter_pod;
    // The first of a group that wants to be together has nobody to join (only itself).
    let first = inter_pod.wants.iter().all(|term| term.domains.is_empty() && term.own);
    for term in &inter_pod.wants {
        let domain = info.label(&term.key);
        let near = domain.is_some_and(|domain| term.domains.contains(domain) || first);
        if !near {
            return Some(Rejection::lasting("node(s) didn't match pod affinity rules"));
        }
    }
    for term in &inter_pod.avoids {
        if info.label(&term.key).is_some_and(|domain| term.domains.contains(domain)) {
            return Some(Rejection::curable("node(s) didn't match pod anti-affinity rules"));
        }
    }
    let kept_out = |(key, domain): &(String, String)| info.label(key) == Some(domain.as_str());
    let kept_out = inter_pod.forbidden.iter().any(kept_out);
    kept_out.then(|| Rejection::curable("node(s) didn't satisfy existing pods anti-affinity rules"))
}
