//! What the scheduler asks of a pod, extracted once.

use std::sync::Arc;

use api::{Key, Object};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kinds::placement::requests::{self, Resources};
use kinds::workload::pods;

use super::terms::{Spread, Term};

/// A port of the node that a pod takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// Address; empty for all.
    pub ip: String,
    /// Protocol.
    pub protocol: String,
    /// Port.
    pub port: i32,
}

impl HostPort {
    /// Whether two pods can't have these ports on one node.
    pub fn clashes(&self, other: &Self) -> bool {
        let any = |ip: &str| ip.is_empty() || ip == "0.0.0.0" || ip == "::";
        self.port == other.port
            && self.protocol == other.protocol
            && (any(&self.ip) || any(&other.ip) || self.ip == other.ip)
    }
}

/// A pod.
#[derive(Debug)]
pub struct PodInfo {
    /// As stored.
    pub object: Arc<Object>,
    /// The spec.
    pub spec: PodSpec,
    /// What it requests.
    pub requests: Resources,
    /// What it is assumed to use.
    pub assumed: Resources,
    /// Ports of the node that it takes.
    pub ports: Vec<HostPort>,
    /// Priority.
    pub priority: i32,
    /// Required affinity.
    pub near: Vec<Term>,
    /// Required anti-affinity.
    pub apart: Vec<Term>,
    /// Preferred affinity with its weight; below zero for anti-affinity.
    pub preferred: Vec<(i64, Term)>,
    /// Spread constraints.
    pub spread: Vec<Spread>,
}

impl PodInfo {
    /// Extracts what is asked of a pod; `None` when the object is no pod.
    pub fn of(object: &Arc<Object>) -> Option<Arc<Self>> {
        let pod: &Pod = object.typed()?;
        let spec = pods::spec(pod)?.clone();
        let affinity = spec.affinity.as_ref();
        let near = affinity.and_then(|affinity| affinity.pod_affinity.as_ref());
        let apart = affinity.and_then(|affinity| affinity.pod_anti_affinity.as_ref());
        let required = |terms: Option<&Vec<_>>| terms.into_iter().flatten().filter_map(|term| Term::of(term, pod)).collect();
        let preferred = |terms: Option<&Vec<k8s_openapi::api::core::v1::WeightedPodAffinityTerm>>, sign: i64| {
            let weighted = |one: &k8s_openapi::api::core::v1::WeightedPodAffinityTerm| {
                Some((sign * i64::from(one.weight), Term::of(&one.pod_affinity_term, pod)?))
            };
            terms.into_iter().flatten().filter_map(weighted).collect::<Vec<_>>()
        };
        let mut likes =
            preferred(near.and_then(|near| near.preferred_during_scheduling_ignored_during_execution.as_ref()), 1);
        likes.extend(preferred(
            apart.and_then(|apart| apart.preferred_during_scheduling_ignored_during_execution.as_ref()),
            -1,
        ));
        let spread = spec.topology_spread_constraints.iter().flatten();
        Some(Arc::new(Self {
            requests: requests::of_pod(&spec),
            assumed: requests::assumed_of_pod(&spec),
            ports: ports(&spec),
            priority: spec.priority.unwrap_or_default(),
            near: required(near.and_then(|near| near.required_during_scheduling_ignored_during_execution.as_ref())),
            apart: required(apart.and_then(|apart| apart.required_during_scheduling_ignored_during_execution.as_ref())),
            preferred: likes,
            spread: spread.filter_map(|one| Spread::of(one, pod)).collect(),
            object: Arc::clone(object),
            spec,
        }))
    }

    /// The pod's uid.
    pub fn uid(&self) -> &Arc<str> {
        &self.object.header.uid
    }

    /// The pod's key.
    pub fn key(&self) -> &Key {
        &self.object.header.key
    }

    /// The pod, typed.
    pub fn pod(&self) -> &Pod {
        self.object.typed().expect("a PodInfo is made of an object that is a pod")
    }

    /// Whether other pods matter to where it goes.
    pub fn has_affinity(&self) -> bool {
        !self.near.is_empty() || !self.apart.is_empty() || !self.preferred.is_empty()
    }
}

fn ports(spec: &PodSpec) -> Vec<HostPort> {
    let is_sidecar = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
    let sidecars = spec.init_containers.iter().flatten().filter(is_sidecar);
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            // In the node's own network every port of the pod is one of the node's.
            let own = if spec.host_network == Some(true) { Some(port.container_port) } else { None };
            let number = port.host_port.filter(|number| *number > 0).or(own)?;
            Some(HostPort {
                ip: port.host_ip.clone().unwrap_or_default(),
                protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
                port: number,
            })
        })
        .collect()
}
