//! Which nodes should have a pod of a DaemonSet, and which have one.

use std::collections::BTreeMap;

use api::View;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{
    Affinity, Node, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Toleration,
};

use crate::placement::{affinity, taints};
use crate::workload::claim::Held;
use crate::workload::meta::Meta;
use crate::workload::pods;

/// A node with its pods of the set.
pub struct Place<'a> {
    /// The node's name.
    pub node: &'a str,
    /// Pods of the set on it, or on their way to it.
    pub pods: Vec<Held<'a, Pod>>,
    /// Whether a missing pod is to be created.
    pub should_run: bool,
    /// Whether a pod that is there may stay.
    pub may_stay: bool,
}

/// The pods of a set by node.
pub struct Daemons<'a> {
    /// Hash of the current template.
    pub hash: &'a str,
    /// Every node, by name; nodes that are gone only while pods are left of them.
    pub places: Vec<Place<'a>>,
}

impl<'a> Daemons<'a> {
    /// Sorts the pods of `set` by the nodes of `view`.
    pub fn new(set: &DaemonSet, hash: &'a str, held: &[Held<'a, Pod>], view: &'a View) -> Self {
        let mut by_node: BTreeMap<&str, Vec<Held<'a, Pod>>> = BTreeMap::new();
        for pod in held {
            by_node.entry(target(pod.typed)).or_default().push(*pod);
        }
        let spec = aimless(set);
        let mut places: Vec<Place<'a>> = view
            .list::<Node>()
            .map(|node| {
                let (should_run, may_stay) = belongs(&spec, node);
                Place { node: node.name(), pods: by_node.remove(node.name()).unwrap_or_default(), should_run, may_stay }
            })
            .collect();
        // Pods of nodes that are gone are removed with the node, not by this set.
        places.extend(by_node.into_iter().map(|(node, pods)| Place { node, pods, should_run: false, may_stay: true }));
        Self { hash, places }
    }

    /// Whether a pod has the current template.
    pub fn is_new(&self, pod: &Pod) -> bool {
        pod.label(crate::workload::history::REVISION_HASH) == Some(self.hash)
    }
}

/// The pod spec of the set with the tolerations that all its pods have.
fn aimless(set: &DaemonSet) -> PodSpec {
    let mut spec = set.spec.template.spec.clone().unwrap_or_default();
    tolerate(&mut spec);
    spec
}

/// Whether a node should get a pod, and whether a pod on it may stay. Taints with the effect `NoSchedule` alone
/// keep new pods away and leave those that are there.
fn belongs(spec: &PodSpec, node: &Node) -> (bool, bool) {
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let named = spec.node_name.as_deref().is_none_or(|name| name.is_empty() || name == node.name());
    let fits = named && affinity::required(spec, node);
    let untolerated = |effects: &[&str]| taints::untolerated(taints::of(node), tolerations, effects).is_some();
    (fits && !untolerated(taints::NO_PLACE), fits && !untolerated(&["NoExecute"]))
}

/// The node that a pod is on or meant for.
fn target(pod: &Pod) -> &str {
    let bound = pods::node_name(pod);
    if !bound.is_empty() {
        return bound;
    }
    let aimed = || {
        let required = pod.spec.as_ref()?.affinity.as_ref()?.node_affinity.as_ref()?;
        let terms = &required.required_during_scheduling_ignored_during_execution.as_ref()?.node_selector_terms;
        let field = terms.first()?.match_fields.as_ref()?.iter().find(|field| field.key == "metadata.name")?;
        field.values.as_ref()?.first().map(String::as_str)
    };
    aimed().unwrap_or_default()
}

/// Makes a pod fit `node` alone.
pub fn aim(spec: &mut PodSpec, node: &str) {
    let field = NodeSelectorRequirement {
        key: "metadata.name".to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![node.to_owned()]),
    };
    let term = NodeSelectorTerm { match_fields: Some(vec![field]), match_expressions: None };
    let affinity: &mut Affinity = spec.affinity.get_or_insert_default();
    let affinity: &mut NodeAffinity = affinity.node_affinity.get_or_insert_default();
    affinity.required_during_scheduling_ignored_during_execution =
        Some(NodeSelector { node_selector_terms: vec![term] });
    tolerate(spec);
}

/// Adds the tolerations of every daemon pod: it stays on a node in trouble, because it may be what mends it.
fn tolerate(spec: &mut PodSpec) {
    let host_network = spec.host_network == Some(true);
    let mut wanted = vec![
        (taints::NOT_READY, "NoExecute"),
        (taints::UNREACHABLE, "NoExecute"),
        (taints::DISK_PRESSURE, "NoSchedule"),
        (taints::MEMORY_PRESSURE, "NoSchedule"),
        (taints::PID_PRESSURE, "NoSchedule"),
        (taints::UNSCHEDULABLE, "NoSchedule"),
    ];
    if host_network {
        wanted.push((taints::NETWORK_UNAVAILABLE, "NoSchedule"));
    }
    let tolerations = spec.tolerations.get_or_insert_default();
    for (key, effect) in wanted {
        let toleration = Toleration {
            key: Some(key.to_owned()),
            operator: Some("Exists".to_owned()),
            effect: Some(effect.to_owned()),
            ..Toleration::default()
        };
        if !tolerations.contains(&toleration) {
            tolerations.push(toleration);
        }
    }
}

/// Value of the label `pod-template-generation`.
pub fn template_generation(set: &DaemonSet) -> String {
    let annotation = set.annotation("deprecated.daemonset.template.generation");
    annotation.map_or_else(|| set.generation().to_string(), str::to_owned)
}
