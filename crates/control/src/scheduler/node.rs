//! A node with what its pods take of it, kept up to date pod by pod.

use std::collections::HashMap;
use std::sync::Arc;

use api::Object;
use k8s_openapi::api::core::v1::Node;
use kinds::placement::requests::{self, Resources};
use kinds::workload::meta::Meta;

use super::pod::PodInfo;

/// A node.
#[derive(Clone, Debug)]
pub struct NodeInfo {
    /// As stored.
    pub object: Arc<Object>,
    /// What it has to give.
    pub allocatable: Resources,
    /// How many pods it takes.
    pub max_pods: i64,
    /// What its pods request.
    pub requested: Resources,
    /// What its pods are assumed to use.
    pub assumed: Resources,
    /// Its pods.
    pub pods: HashMap<Arc<str>, Arc<PodInfo>>,
    /// Sizes of its images by name.
    pub images: HashMap<String, i64>,
    /// How many of its pods have required anti-affinity.
    pub n_apart: usize,
    /// How many of its pods have any affinity.
    pub n_affinity: usize,
}

impl NodeInfo {
    /// An empty node; `None` when the object is no node.
    pub fn of(object: &Arc<Object>) -> Option<Self> {
        object.typed::<Node>()?;
        let mut info = Self {
            object: Arc::clone(object),
            allocatable: Resources::default(),
            max_pods: 0,
            requested: Resources::default(),
            assumed: Resources::default(),
            pods: HashMap::new(),
            images: HashMap::new(),
            n_apart: 0,
            n_affinity: 0,
        };
        info.read();
        Some(info)
    }

    /// Takes the node's new state.
    pub fn replace(&mut self, object: &Arc<Object>) {
        self.object = Arc::clone(object);
        self.read();
    }

    fn read(&mut self) {
        let node = self.node();
        let allocatable = requests::allocatable(node);
        let max_pods = requests::allocatable_pods(node);
        let images = node.status.iter().flat_map(|status| status.images.iter().flatten());
        let by_name = images
            .flat_map(|image| image.names.iter().flatten().map(|name| (name.clone(), image.size_bytes.unwrap_or(0))))
            .collect();
        self.allocatable = allocatable;
        self.max_pods = max_pods;
        self.images = by_name;
    }

    /// The node, typed.
    pub fn node(&self) -> &Node {
        self.object.typed().expect("a NodeInfo is made of an object that is a node")
    }

    /// The node's name.
    pub fn name(&self) -> &Arc<str> {
        &self.object.header.key.name
    }

    /// One label of the node.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.object.header.label(key)
    }

    /// Puts a pod on the node.
    pub fn add(&mut self, pod: &Arc<PodInfo>) {
        self.remove(pod.uid());
        self.requested.add(&pod.requests);
        self.assumed.add(&pod.assumed);
        self.n_apart += usize::from(!pod.apart.is_empty());
        self.n_affinity += usize::from(pod.has_affinity());
        self.pods.insert(Arc::clone(pod.uid()), Arc::clone(pod));
    }

    /// Takes a pod off the node.
    pub fn remove(&mut self, uid: &str) -> Option<Arc<PodInfo>> {
        let pod = self.pods.remove(uid)?;
        self.requested.subtract(&pod.requests);
        self.assumed.subtract(&pod.assumed);
        self.n_apart -= usize::from(!pod.apart.is_empty());
        self.n_affinity -= usize::from(pod.has_affinity());
        Some(pod)
    }
}

/// Whether a node's change can make room for a pod that did not fit.
pub fn may_help(before: &Object, after: &Object) -> bool {
    let (Some(old), Some(new)) = (before.typed::<Node>(), after.typed::<Node>()) else { return true };
    let taints = |node: &Node| node.spec.as_ref().map(|spec| (spec.taints.clone(), spec.unschedulable));
    let size = |node: &Node| node.status.as_ref().and_then(|status| status.allocatable.clone());
    old.metadata.labels != new.metadata.labels
        || taints(old) != taints(new)
        || size(old) != size(new)
        || old.deleting() != new.deleting()
}
