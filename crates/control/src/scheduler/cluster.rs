//! All nodes with their pods, and the pods that other pods make room for.
//!
//! Invariant: every pod that has a node, or is assumed to get one, is counted on exactly that node.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use api::Object;

use super::node::NodeInfo;
use super::pod::PodInfo;

/// The nodes.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// Nodes by name.
    pub nodes: BTreeMap<Arc<str>, NodeInfo>,
    /// Pods whose node is not known (yet).
    homeless: HashMap<Arc<str>, HashMap<Arc<str>, Arc<PodInfo>>>,
    node_of: HashMap<Arc<str>, Arc<str>>,
    nominated: HashMap<Arc<str>, (Arc<str>, Arc<PodInfo>)>,
}

impl Cluster {
    /// Adds or renews a node.
    pub fn put_node(&mut self, object: &Arc<Object>) {
        let name = &object.header.key.name;
        if let Some(node) = self.nodes.get_mut(name) {
            node.replace(object);
            return;
        }
        let Some(mut node) = NodeInfo::of(object) else { return };
        for pod in self.homeless.remove(name).unwrap_or_default().into_values() {
            node.add(&pod);
        }
        self.nodes.insert(Arc::clone(name), node);
    }

    /// Takes a node out; its pods may outlive it for a while.
    pub fn remove_node(&mut self, name: &str) {
        if let Some(node) = self.nodes.remove(name)
            && !node.pods.is_empty()
        {
            self.homeless.insert(Arc::from(name), node.pods);
        }
    }

    /// Counts a pod on a node.
    pub fn put_pod(&mut self, pod: &Arc<PodInfo>, node: &str) {
        self.remove_pod(pod.uid());
        let name: Arc<str> = node.into();
        match self.nodes.get_mut(node) {
            Some(node) => node.add(pod),
            None => {
                self.homeless.entry(Arc::clone(&name)).or_default().insert(Arc::clone(pod.uid()), Arc::clone(pod));
            }
        }
        self.node_of.insert(Arc::clone(pod.uid()), name);
    }

    /// Counts a pod no more; says whether it was counted.
    pub fn remove_pod(&mut self, uid: &str) -> bool {
        let Some(name) = self.node_of.remove(uid) else { return false };
        if let Some(node) = self.nodes.get_mut(&name) {
            node.remove(uid);
        } else if let Some(pods) = self.homeless.get_mut(&name) {
            pods.remove(uid);
        }
        true
    }

    /// Every pod with its node.
    pub fn pods(&self) -> impl Iterator<Item = (&NodeInfo, &Arc<PodInfo>)> {
        self.nodes.values().flat_map(|node| node.pods.values().map(move |pod| (node, pod)))
    }

    /// Keeps room for `pod` on `node` until it is scheduled.
    pub fn nominate(&mut self, pod: &Arc<PodInfo>, node: &str) {
        self.nominated.insert(Arc::clone(pod.uid()), (node.into(), Arc::clone(pod)));
    }

    /// Keeps no room for a pod any more.
    pub fn withdraw(&mut self, uid: &str) -> bool {
        self.nominated.remove(uid).is_some()
    }

    /// The node where room is kept for a pod.
    pub fn nomination(&self, uid: &str) -> Option<&Arc<str>> {
        self.nominated.get(uid).map(|(node, _)| node)
    }

    /// Pods other than `pod` that room is kept for on `node` and that `pod` must not take it from.
    pub fn nominated_before(&self, pod: &PodInfo, node: &str) -> Vec<&Arc<PodInfo>> {
        if self.nominated.is_empty() {
            return Vec::new(); // Almost always; this is asked for every node.
        }
        let kept = self.nominated.values().filter(|(name, _)| **name == *node).map(|(_, other)| other);
        kept.filter(|other| other.uid() != pod.uid() && other.priority >= pod.priority).collect()
    }

    /// The same cluster with another state of one node.
    pub fn with(&self, node: NodeInfo) -> Self {
        let mut changed = self.clone();
        changed.nodes.insert(Arc::clone(node.name()), node);
        changed
    }
}
