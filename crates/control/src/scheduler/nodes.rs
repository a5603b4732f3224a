//! The nodes of the cluster and what their pods take of them, kept up to date from the log.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use api::{Key, Object, View};
use k8s_openapi::api::core::v1::{Node, Pod, PodSpec};
use kinds::placement::requests::{self, Resources};
use kinds::workload::pods;

/// A port of the node that a pod claims: protocol, address, port.
pub(super) type HostPort = (String, String, i32);

/// A pod that has a place.
#[derive(Clone)]
pub(super) struct Placed {
    pub(super) object: Arc<Object>,
    pub(super) requests: Resources,
    pub(super) assumed: Resources,
    pub(super) ports: Vec<HostPort>,
    pub(super) priority: i32,
    /// Whether it keeps others away (required anti-affinity).
    pub(super) repels: bool,
}

impl Placed {
    pub(super) fn new(object: Arc<Object>) -> Option<Self> {
        let spec = object.typed::<Pod>()?.spec.as_ref()?;
        let (requests, assumed) = (requests::of_pod(spec), requests::assumed_of_pod(spec));
        let (ports, priority, repels) = (host_ports(spec), spec.priority.unwrap_or_default(), repels(spec));
        Some(Self { requests, assumed, ports, priority, repels, object })
    }

    pub(super) fn pod(&self) -> &Pod {
        self.object.typed().expect("a Placed was made from a pod")
    }
}

/// Ports of the node that a pod claims.
pub(super) fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let sidecars = spec.init_containers.iter().flatten().filter(|one| one.restart_policy.as_deref() == Some("Always"));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let number = port.host_port.filter(|number| *number > 0)?;
            let address = port.host_ip.clone().filter(|address| !address.is_empty());
            let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
            Some((protocol, address.unwrap_or_else(|| "0.0.0.0".to_owned()), number))
        })
        .collect()
}

fn repels(spec: &PodSpec) -> bool {
    let anti = spec.affinity.as_ref().and_then(|affinity| affinity.pod_anti_affinity.as_ref());
    anti.is_some_and(|anti| {
        anti.required_during_scheduling_ignored_during_execution.as_ref().is_some_and(|terms| !terms.is_empty())
    })
}

/// One node and what is taken of it.
#[derive(Clone)]
pub(super) struct NodeInfo {
    object: Arc<Object>,
    pub(super) allocatable: Resources,
    pub(super) max_pods: i64,
    pub(super) taken: Resources,
    pub(super) assumed: Resources,
    pub(super) pods: HashMap<Key, Placed>,
    /// Pods of each controller, by its uid.
    by_controller: HashMap<Arc<str>, i64>,
    n_repelling: usize,
}

impl NodeInfo {
    pub(super) fn new(object: Arc<Object>) -> Option<Self> {
        let node: &Node = object.typed()?;
        Some(Self {
            allocatable: requests::allocatable(node),
            max_pods: requests::allocatable_pods(node),
            taken: Resources::default(),
            assumed: Resources::default(),
            pods: HashMap::new(),
            by_controller: HashMap::new(),
            n_repelling: 0,
            object,
        })
    }

    pub(super) fn node(&self) -> &Node {
        self.object.typed().expect("a NodeInfo was made from a node")
    }

    pub(super) fn name(&self) -> &str {
        &self.object.header.key.name
    }

    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.object.header.label(name)
    }

    pub(super) fn put(&mut self, placed: Placed) {
        self.take(&placed.object.header.key);
        self.taken.add(&placed.requests);
        self.assumed.add(&placed.assumed);
        self.n_repelling += usize::from(placed.repels);
        if let Some(controller) = placed.object.header.controller() {
            *self.by_controller.entry(controller.uid.clone()).or_default() += 1;
        }
        self.pods.insert(placed.object.header.key.clone(), placed);
    }

    pub(super) fn take(&mut self, key: &Key) -> Option<Placed> {
        let placed = self.pods.remove(key)?;
        self.taken.subtract(&placed.requests);
        self.assumed.subtract(&placed.assumed);
        self.n_repelling -= usize::from(placed.repels);
        if let Some(controller) = placed.object.header.controller()
            && let Some(count) = self.by_controller.get_mut(&controller.uid)
        {
            *count -= 1;
            if *count == 0 {
                self.by_controller.remove(&controller.uid);
            }
        }
        Some(placed)
    }

    /// How many pods of a controller the node has.
    pub(super) fn n_controlled_by(&self, uid: &str) -> i64 {
        self.by_controller.get(uid).copied().unwrap_or_default()
    }
}

/// All nodes, with what their pods take, and the places kept free for pods that wait for victims to end.
#[derive(Default)]
pub(super) struct Nodes {
    pub(super) known: BTreeMap<String, Arc<NodeInfo>>,
    place_of: HashMap<Key, String>,
    /// Pods of nodes that are not known yet.
    strays: HashMap<Key, (String, Placed)>,
    /// Pods that preempted others, and the node that they wait for.
    pub(super) nominated: HashMap<Key, Promise>,
}

/// A place that a pod gets once its victims have ended.
#[derive(Clone)]
pub(super) struct Promise {
    pub(super) node: String,
    pub(super) placed: Placed,
    pub(super) victims: Vec<Arc<Object>>,
}

impl Nodes {
    /// The nodes of a view.
    pub(super) fn of(view: &View) -> Self {
        let mut nodes = Self::default();
        let catalogue = view.catalogue();
        for object in view.objects(catalogue.id_of::<Node>()) {
            nodes.set_node(object);
        }
        for object in view.objects(catalogue.id_of::<Pod>()) {
            nodes.set_pod(object);
        }
        nodes
    }

    /// Takes a node's new state in. Whether it may be a place for pods that had none.
    pub(super) fn set_node(&mut self, object: &Arc<Object>) -> bool {
        let name = object.header.key.name.to_string();
        let Some(mut info) = NodeInfo::new(object.clone()) else { return false };
        let Some(before) = self.node_mut(&name) else {
            let home: Vec<Key> =
                self.strays.iter().filter(|(_, (node, _))| *node == name).map(|(key, _)| key.clone()).collect();
            for key in home {
                if let Some((_, placed)) = self.strays.remove(&key) {
                    self.place_of.insert(key, name.clone());
                    info.put(placed);
                }
            }
            self.known.insert(name, Arc::new(info));
            return true;
        };
        let better = info.allocatable != before.allocatable
            || info.max_pods != before.max_pods
            || info.node().spec != before.node().spec
            || info.object.header.labels != before.object.header.labels;
        before.object = info.object;
        before.allocatable = info.allocatable;
        before.max_pods = info.max_pods;
        better
    }

    /// Forgets a node; its pods wait in case it comes back.
    pub(super) fn remove_node(&mut self, name: &str) {
        let Some(info) = self.known.remove(name) else { return };
        for (key, placed) in Arc::unwrap_or_clone(info).pods {
            self.place_of.remove(&key);
            self.strays.insert(key, (name.to_owned(), placed));
        }
    }

    /// Takes a pod's new state in. Whether it made room.
    pub(super) fn set_pod(&mut self, object: &Arc<Object>) -> bool {
        let key = &object.header.key;
        let Some(pod) = object.typed::<Pod>() else { return false };
        let node = pods::node_name(pod);
        if node.is_empty() {
            return false; // An assumed place stays until its binding has succeeded or failed.
        }
        if pods::finished(pod) {
            return self.remove_pod(key);
        }
        self.nominated.remove(key);
        if let Some(placed) = Placed::new(object.clone()) {
            self.place(node, placed);
        }
        false
    }

    /// Forgets a pod. Whether it made room.
    pub(super) fn remove_pod(&mut self, key: &Key) -> bool {
        self.nominated.remove(key);
        self.strays.remove(key);
        let Some(name) = self.place_of.remove(key) else { return false };
        self.node_mut(&name).and_then(|info| info.take(key)).is_some()
    }

    /// Puts a pod on a node: because it is there, or because it will be.
    pub(super) fn place(&mut self, node: &str, placed: Placed) {
        let key = placed.object.header.key.clone();
        if self.place_of.get(&key).is_some_and(|before| before != node) {
            self.remove_pod(&key);
        }
        match self.node_mut(node) {
            Some(info) => {
                info.put(placed);
                self.place_of.insert(key, node.to_owned());
            }
            None => {
                self.strays.insert(key, (node.to_owned(), placed));
            }
        }
    }

    /// The same nodes, to try things out on: nodes that are not touched are shared.
    pub(super) fn trial(&self) -> Self {
        Self { known: self.known.clone(), nominated: self.nominated.clone(), ..Self::default() }
    }

    /// Whether the victims of a pod are still on the node that it is promised.
    pub(super) fn waits_for_victims(&self, placed: &Placed) -> bool {
        let Some(promise) = self.nominated.get(&placed.object.header.key) else { return false };
        let Some(info) = self.known.get(&promise.node) else { return false };
        let is_there = |victim: &Arc<Object>| {
            let there = info.pods.get(&victim.header.key);
            there.is_some_and(|there| there.object.header.uid == victim.header.uid)
        };
        promise.victims.iter().any(is_there)
    }

    /// A victim stays after all: nobody waits for it any more.
    pub(super) fn spare(&mut self, key: &Key) {
        for promise in self.nominated.values_mut() {
            promise.victims.retain(|victim| victim.header.key != *key);
        }
    }

    /// A node, to be changed.
    pub(super) fn node_mut(&mut self, name: &str) -> Option<&mut NodeInfo> {
        self.known.get_mut(name).map(Arc::make_mut)
    }

    /// Whether a pod has a place, or will have one once its binding is committed.
    pub(super) fn has_place(&self, key: &Key) -> bool {
        self.place_of.contains_key(key) || self.strays.contains_key(key)
    }

    /// Every pod that has a place, with its node.
    pub(super) fn placed(&self) -> impl Iterator<Item = (&NodeInfo, &Placed)> {
        self.known.values().flat_map(|info| info.pods.values().map(move |placed| (&**info, placed)))
    }

    /// Whether any pod keeps others away.
    pub(super) fn any_repelling(&self) -> bool {
        self.known.values().any(|info| info.n_repelling > 0)
    }
}
