//! What a pod takes of a node: the requests of its containers, and what a node has to give.
//!
//! Init containers run one after the other and need their largest request, sidecars (restartable init containers,
//! KEP-753) stay beside everything that starts after them, overhead comes on top, and requests of the pod as a
//! whole (KEP-2837) take the place of the containers'.

use std::collections::BTreeMap;

use api::Quantity;
use k8s_openapi::api::core::v1::{Container, Node, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource;

/// Amounts of resources: cpu in thousandths, everything else in units.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Millicores.
    pub milli_cpu: i64,
    /// Bytes of memory.
    pub memory: i64,
    /// Bytes of local disk.
    pub ephemeral_storage: i64,
    /// Everything else: `hugepages-…` and extended resources.
    pub others: BTreeMap<String, i64>,
}

type Map = BTreeMap<String, resource::Quantity>;

/// Memory that a container without a request is assumed to use when nodes are compared, in bytes.
const ASSUMED_MEMORY: i64 = 200 * 1024 * 1024;
/// Millicores that a container without a request is assumed to use when nodes are compared.
const ASSUMED_MILLI_CPU: i64 = 100;

impl Resources {
    /// The amounts in a map; `pods` is counted elsewhere.
    pub fn of(map: Option<&Map>) -> Self {
        let mut amounts = Self::default();
        for (name, quantity) in map.into_iter().flatten() {
            let Ok(quantity) = Quantity::parse(&quantity.0) else { continue }; // Was refused at the door.
            match name.as_str() {
                "cpu" => amounts.milli_cpu = quantity.as_milli(),
                "memory" => amounts.memory = quantity.as_units(),
                "ephemeral-storage" => amounts.ephemeral_storage = quantity.as_units(),
                "pods" => {}
                _ => {
                    amounts.others.insert(name.clone(), quantity.as_units());
                }
            }
        }
        amounts
    }

    /// Adds amounts.
    pub fn add(&mut self, other: &Self) {
        self.milli_cpu += other.milli_cpu;
        self.memory += other.memory;
        self.ephemeral_storage += other.ephemeral_storage;
        for (name, amount) in &other.others {
            *self.others.entry(name.clone()).or_default() += amount;
        }
    }

    /// Takes amounts away.
    pub fn subtract(&mut self, other: &Self) {
        self.milli_cpu -= other.milli_cpu;
        self.memory -= other.memory;
        self.ephemeral_storage -= other.ephemeral_storage;
        for (name, amount) in &other.others {
            *self.others.entry(name.clone()).or_default() -= amount;
        }
    }

    /// The larger of each amount.
    fn at_least(&mut self, other: &Self) {
        self.milli_cpu = self.milli_cpu.max(other.milli_cpu);
        self.memory = self.memory.max(other.memory);
        self.ephemeral_storage = self.ephemeral_storage.max(other.ephemeral_storage);
        for (name, amount) in &other.others {
            let mine = self.others.entry(name.clone()).or_default();
            *mine = (*mine).max(*amount);
        }
    }

    fn plus(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        sum.add(other);
        sum
    }
}

/// What a pod requests.
pub fn of_pod(spec: &PodSpec) -> Resources {
    sum(spec, |container| Resources::of(container.resources.as_ref().and_then(|resources| resources.requests.as_ref())))
}

/// What a pod is assumed to use when nodes are compared: pods without requests weigh something, too.
pub fn assumed_of_pod(spec: &PodSpec) -> Resources {
    sum(spec, |container| {
        let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
        let has = |name: &str| requests.is_some_and(|requests| requests.contains_key(name));
        let mut amounts = Resources::of(requests);
        if !has("cpu") {
            amounts.milli_cpu = ASSUMED_MILLI_CPU;
        }
        if !has("memory") {
            amounts.memory = ASSUMED_MEMORY;
        }
        amounts
    })
}

fn sum(spec: &PodSpec, of_container: impl Fn(&Container) -> Resources) -> Resources {
    let mut total = Resources::default();
    spec.containers.iter().for_each(|container| total.add(&of_container(container)));
    let mut sidecars = Resources::default();
    let mut most_at_start = Resources::default();
    for container in spec.init_containers.iter().flatten() {
        let own = of_container(container);
        if container.restart_policy.as_deref() == Some("Always") {
            total.add(&own);
            sidecars.add(&own);
            most_at_start.at_least(&sidecars);
        } else {
            most_at_start.at_least(&own.plus(&sidecars));
        }
    }
    total.at_least(&most_at_start);
    if let Some(requests) = spec.resources.as_ref().and_then(|resources| resources.requests.as_ref()) {
        let whole = Resources::of(Some(requests));
        if requests.contains_key("cpu") {
            total.milli_cpu = whole.milli_cpu;
        }
        if requests.contains_key("memory") {
            total.memory = whole.memory;
        }
    }
    total.add(&Resources::of(spec.overhead.as_ref()));
    total
}

/// What a node has to give to pods.
pub fn allocatable(node: &Node) -> Resources {
    Resources::of(node.status.as_ref().and_then(|status| status.allocatable.as_ref()))
}

/// How many pods a node takes.
pub fn allocatable_pods(node: &Node) -> i64 {
    let pods = node.status.as_ref().and_then(|status| status.allocatable.as_ref()?.get("pods"));
    pods.and_then(|pods| Quantity::parse(&pods.0).ok()).map_or(0, Quantity::as_units)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn init_containers_sidecars_and_overhead_count() {
        let container = |cpu: &str, policy: Option<&str>| json!({"name": "c", "resources": {"requests": {"cpu": cpu}}, "restartPolicy": policy});
        let spec: PodSpec = serde_json::from_value(json!({
            "containers": [container("100m", None), container("200m", None)],
            "initContainers": [container("50m", Some("Always")), container("1", None), container("10m", Some("Always"))],
            "overhead": {"cpu": "5m"},
        }))
        .unwrap();
        // The init container of 1 core runs beside the first sidecar: 1050m, more than 300m + 60m.
        assert_eq!(of_pod(&spec).milli_cpu, 1055);
        assert_eq!(assumed_of_pod(&spec).memory, 4 * ASSUMED_MEMORY);
    }

    #[test]
    fn requests_of_the_pod_take_the_place_of_the_containers() {
        let spec: PodSpec = serde_json::from_value(json!({
            "containers": [{"name": "c", "resources": {"requests": {"cpu": "1", "memory": "1Gi", "x.y/z": "2"}}}],
            "resources": {"requests": {"cpu": "2"}},
        }))
        .unwrap();
        let requests = of_pod(&spec);
        assert_eq!((requests.milli_cpu, requests.memory, requests.others["x.y/z"]), (2000, 1 << 30, 2));
    }
}
