//! What the proxy has to do, as data: a projection of services, their endpoints and the node's host ports.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};

use crate::services::Services;

/// A transport protocol that services may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// Reads `TCP`, `UDP` or `SCTP`; absent means TCP.
    pub fn read(text: Option<&str>) -> Option<Self> {
        match text.unwrap_or("TCP") {
            "TCP" => Some(Self::Tcp),
            "UDP" => Some(Self::Udp),
            "SCTP" => Some(Self::Sctp),
            _ => None,
        }
    }

    /// The name that nftables gives it.
    pub fn nft(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// Where a connection is to go.
pub type Target = (Ipv4Addr, u16);

/// A port of this node that belongs to a pod (`hostPort`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// Address of the node that is asked for; `None` means all.
    pub address: Option<Ipv4Addr>,
    /// Protocol.
    pub protocol: Protocol,
    /// Port of the node.
    pub port: u16,
    /// Address and port of the pod.
    pub target: Target,
}

/// Which endpoints serve connections that come in one way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Endpoints, sorted.
    pub targets: Vec<Target>,
    /// Whether there are endpoints elsewhere, although this node may use none: drop instead of refuse.
    pub elsewhere: bool,
}

/// One port of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// `NAMESPACE/NAME:PORT`, for comments.
    pub name: String,
    /// Protocol.
    pub protocol: Protocol,
    /// Cluster IP and further addresses of the service (`externalIPs`, load balancer).
    pub addresses: Vec<Ipv4Addr>,
    /// Port at these addresses.
    pub port: u16,
    /// Port at every address of the node.
    pub node_port: Option<u16>,
    /// Whether a client keeps its endpoint.
    pub sticky: bool,
    /// Endpoints for connections from inside the cluster.
    pub inside: Entry,
    /// Endpoints for connections to the node port.
    pub outside: Entry,
    /// Whether node-port connections keep their source address (`externalTrafficPolicy: Local`).
    pub keep_source: bool,
}

/// Everything that the proxy of one node has to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Service ports in order of their names.
    pub ports: Vec<Port>,
    /// Host ports.
    pub host_ports: Vec<HostPort>,
}

impl Table {
    /// The table of the node called `node`. Services at `local` (cluster DNS) are served by the node itself.
    pub fn project(services: &Services, host_ports: &[HostPort], node: &str, local: Ipv4Addr) -> Self {
        let by_service = services.by_service();
        let mut ports = Vec::new();
        for (named, service) in &services.services {
            let slices = by_service.get(named).map(Vec::as_slice).unwrap_or_default();
            add_service(&mut ports, named, service, slices, node, local);
        }
        let mut host_ports = host_ports.to_vec();
        host_ports.sort();
        Self { ports, host_ports }
    }
}

fn add_service(
    ports: &mut Vec<Port>,
    (namespace, name): &(String, String),
    service: &Service,
    slices: &[&EndpointSlice],
    node: &str,
    local: Ipv4Addr,
) {
    let Some(spec) = &service.spec else { return };
    let Some(cluster_ip) = spec.cluster_ip.as_deref().and_then(|ip| ip.parse::<Ipv4Addr>().ok()) else { return };
    if cluster_ip == local || spec.type_.as_deref() == Some("ExternalName") {
        return;
    }
    let balancer = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let ingress = balancer.and_then(|balancer| balancer.ingress.as_ref()).into_iter().flatten();
    let further = ingress.filter_map(|ingress| ingress.ip.as_ref()).chain(spec.external_ips.iter().flatten());
    let addresses: Vec<Ipv4Addr> =
        std::iter::once(cluster_ip).chain(further.filter_map(|ip| ip.parse().ok())).collect();
    let inside_local = spec.internal_traffic_policy.as_deref() == Some("Local");
    let outside_local = spec.external_traffic_policy.as_deref() == Some("Local");
    for port in spec.ports.iter().flatten() {
        let (Some(protocol), Ok(number)) = (Protocol::read(port.protocol.as_deref()), u16::try_from(port.port)) else {
            continue;
        };
        let endpoints = endpoints(slices, port);
        ports.push(Port {
            name: format!("{namespace}/{name}:{}", port.name.as_deref().unwrap_or_default()),
            protocol,
            addresses: addresses.clone(),
            port: number,
            node_port: port.node_port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0),
            sticky: spec.session_affinity.as_deref() == Some("ClientIP"),
            inside: endpoints.entry(inside_local, node),
            outside: endpoints.entry(outside_local, node),
            keep_source: outside_local,
        });
    }
}

/// Endpoints of one service port: ready ones, and those that still serve while they end.
#[derive(Default)]
struct Endpoints {
    ready: BTreeMap<Target, bool>,
    serving: BTreeMap<Target, bool>,
    node_of: BTreeMap<Target, String>,
}

impl Endpoints {
    /// Ready endpoints; when there is none, those that end but still serve (KEP-1669).
    fn entry(&self, only_local: bool, node: &str) -> Entry {
        let of = |known: &BTreeMap<Target, bool>| -> Vec<Target> {
            let here = |target: &&Target| !only_local || self.node_of.get(target).is_some_and(|name| name == node);
            known.keys().filter(here).copied().collect()
        };
        let targets = Some(of(&self.ready)).filter(|targets| !targets.is_empty()).unwrap_or_else(|| of(&self.serving));
        let elsewhere = targets.is_empty() && !(self.ready.is_empty() && self.serving.is_empty());
        Entry { targets, elsewhere }
    }
}

fn endpoints(slices: &[&EndpointSlice], port: &ServicePort) -> Endpoints {
    let mut found = Endpoints::default();
    for slice in slices.iter().filter(|slice| slice.address_type == "IPv4") {
        let Some(number) =
            slice.ports.iter().flatten().find(|candidate| same(candidate, port)).and_then(|port| port.port)
        else {
            continue;
        };
        let Ok(number) = u16::try_from(number) else { continue };
        for endpoint in slice.endpoints.iter().flatten() {
            for address in endpoint.addresses.iter().filter_map(|address| address.parse().ok()) {
                let target = (address, number);
                if condition(endpoint, "ready") {
                    found.ready.insert(target, true);
                } else if condition(endpoint, "serving") && condition(endpoint, "terminating") {
                    found.serving.insert(target, true);
                }
                found.node_of.insert(target, endpoint.node_name.clone().unwrap_or_default());
            }
        }
    }
    found
}

fn same(slice_port: &EndpointPort, port: &ServicePort) -> bool {
    slice_port.name.as_deref().unwrap_or_default() == port.name.as_deref().unwrap_or_default()
        && Protocol::read(slice_port.protocol.as_deref()) == Protocol::read(port.protocol.as_deref())
}

fn condition(endpoint: &Endpoint, name: &str) -> bool {
    let conditions = endpoint.conditions.as_ref();
    match name {
        "ready" => conditions.and_then(|conditions| conditions.ready).unwrap_or(true),
        "serving" => conditions.and_then(|conditions| conditions.serving).unwrap_or(true),
        _ => conditions.and_then(|conditions| conditions.terminating).unwrap_or(false),
    }
}
