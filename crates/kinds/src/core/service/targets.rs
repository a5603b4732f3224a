//! The pods behind a Service: what Endpoints and EndpointSlices are made of.

use api::{GroupKind, Key, LabelSelector, Object, View};
use k8s_openapi::api::core::v1::{Container, ObjectReference, Pod, Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::workload::claim::Held;
use crate::workload::meta::Meta;
use crate::workload::pods;

/// A pod behind a Service.
pub struct Target<'a> {
    /// The pod.
    pub pod: Held<'a, Pod>,
    /// Whether it is ready.
    pub serving: bool,
    /// Whether it is being deleted.
    pub terminating: bool,
}

/// A port of a Service as one pod has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TargetPort {
    /// Name of the Service's port; empty when it has none.
    pub name: String,
    /// Port of the pod.
    pub port: i32,
    /// Protocol.
    pub protocol: String,
    /// `appProtocol`.
    pub app_protocol: Option<String>,
}

/// The spec of a Service whose endpoints come from a selector; others have none, or somebody else's.
pub fn selecting_spec(service: &Service) -> Option<&ServiceSpec> {
    let spec = service.spec.as_ref()?;
    let selects = spec.selector.as_ref().is_some_and(|selector| !selector.is_empty());
    (selects && spec.type_.as_deref() != Some("ExternalName")).then_some(spec)
}

/// The pods behind a Service that have an address, by name.
pub fn of<'a>(service: &Service, spec: &ServiceSpec, view: &'a View) -> Vec<Target<'a>> {
    let selector = LabelSelector::from_map(spec.selector.iter().flatten());
    view.objects_in(view.catalogue().id_of::<Pod>(), service.namespace())
        .filter(|object| selector.matches(&object.header))
        .filter_map(|object| Some(Held { object, typed: object.typed()? }))
        .filter(|pod: &Held<'_, Pod>| !pods::finished(pod) && !addresses(pod).is_empty())
        .map(|pod| Target { pod, serving: pods::ready(&pod), terminating: pod.deleting() })
        .collect()
}

/// The addresses of a pod.
pub fn addresses(pod: &Pod) -> Vec<&str> {
    let Some(status) = &pod.status else { return Vec::new() };
    match status.pod_ips.as_deref() {
        Some([_, ..]) => status.pod_ips.iter().flatten().map(|ip| ip.ip.as_str()).collect(),
        _ => status.pod_ip.as_deref().filter(|ip| !ip.is_empty()).into_iter().collect(),
    }
}

/// The ports of a Service on one pod, in order; a named port that the pod does not have is left out.
pub fn ports(spec: &ServiceSpec, pod: &Pod) -> Vec<TargetPort> {
    let mut ports: Vec<TargetPort> = spec
        .ports
        .iter()
        .flatten()
        .filter_map(|port| {
            Some(TargetPort {
                name: port.name.clone().unwrap_or_default(),
                port: resolve(port, pod)?,
                protocol: protocol(port.protocol.as_deref()).to_owned(),
                app_protocol: port.app_protocol.clone(),
            })
        })
        .collect();
    ports.sort();
    ports
}

fn protocol(protocol: Option<&str>) -> &str {
    protocol.unwrap_or("TCP")
}

fn resolve(port: &ServicePort, pod: &Pod) -> Option<i32> {
    match &port.target_port {
        None | Some(IntOrString::Int(0)) => Some(port.port),
        Some(IntOrString::Int(number)) => Some(*number),
        Some(IntOrString::String(name)) if name.is_empty() => Some(port.port),
        Some(IntOrString::String(name)) => {
            let spec = pods::spec(pod)?;
            let is_sidecar = |container: &&Container| container.restart_policy.as_deref() == Some("Always");
            let sidecars = spec.init_containers.iter().flatten().filter(is_sidecar);
            let found = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
            let wanted = protocol(port.protocol.as_deref());
            found
                .filter(|one| protocol(one.protocol.as_deref()) == wanted)
                .find(|one| one.name.as_deref() == Some(name))
                .map(|one| one.container_port)
        }
    }
}

/// The host name by which DNS knows a pod behind a headless Service.
pub fn hostname(service: &Service, pod: &Pod) -> Option<String> {
    let spec = pods::spec(pod)?;
    let named = spec.hostname.as_ref().filter(|name| !name.is_empty())?;
    (spec.subdomain.as_deref() == Some(service.name())).then(|| named.clone())
}

/// A reference to a pod.
pub fn reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

/// Services that select a pod, for waking.
pub fn services_of(pod: &Object, view: &View) -> Vec<Key> {
    let header = &pod.header;
    if header.labels.is_empty() {
        return Vec::new();
    }
    let selects = |service: &Service| {
        let selector = selecting_spec(service).and_then(|spec| spec.selector.as_ref());
        selector.is_some_and(|map| map.iter().all(|(key, value)| header.label(key) == Some(value)))
    };
    view.objects_in(view.catalogue().id_of::<Service>(), &header.key.namespace)
        .filter(|object| object.typed().is_some_and(selects))
        .map(|object| object.header.key.clone())
        .collect()
}

/// The pod kind, whose changes wake what is made of pods.
pub const PODS: GroupKind = GroupKind::of::<Pod>();
