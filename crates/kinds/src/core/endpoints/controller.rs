//! Writes the addresses behind each Service that has a selector into its Endpoints.
//!
//! Every address stands in exactly one list, ready or not. Deliberately absent: mirroring Endpoints that people
//! write for Services without a selector into EndpointSlices.

use std::collections::BTreeMap;

use api::{Blocked, Controller, GroupKind, Key, Object, Plan, View, Wake};
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Service, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::core::service::targets::{self, TargetPort};
use crate::workload::change;
use crate::workload::meta::Meta;
use crate::workload::pods;

/// Marks Endpoints that are made here.
const MANAGED_BY: (&str, &str) = ("endpoints.kubernetes.io/managed-by", "endpoint-controller");
/// Marks endpoints of a Service without an address of its own.
pub const HEADLESS: &str = "service.kubernetes.io/headless";

/// Writes Endpoints.
pub const CONTROLLER: Controller<Service> = Controller {
    name: "endpoint",
    wakes: &[Wake::Map(targets::PODS, targets::services_of), Wake::Map(GroupKind::of::<Endpoints>(), service_of)],
    plan,
};

/// Deletes Endpoints whose Service is gone.
pub const LEFT_OVER: Controller<Endpoints> =
    Controller { name: "endpoint", wakes: &[Wake::Map(GroupKind::of::<Service>(), endpoints_of)], plan: clear };

fn plan(service: &Service, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
    let Some(spec) = targets::selecting_spec(service) else { return Ok(()) };
    if service.deleting() {
        return Ok(());
    }
    let subsets = subsets(service, spec, view);
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    if spec.cluster_ip.as_deref() == Some("None") {
        labels.insert(HEADLESS.to_owned(), String::new());
    }
    let stored = view.get::<Endpoints>(service.namespace(), service.name());
    let mut wanted = stored.cloned().unwrap_or_else(|| Endpoints {
        metadata: ObjectMeta {
            name: service.metadata.name.clone(),
            namespace: service.metadata.namespace.clone(),
            ..ObjectMeta::default()
        },
        subsets: None,
    });
    wanted.metadata.labels = Some(labels);
    wanted.subsets = (!subsets.is_empty()).then_some(subsets);
    match stored {
        None => plan.create(&wanted, "the Service has no Endpoints"),
        Some(stored) if *stored != wanted => plan.update(&wanted, "pods behind the Service changed"),
        Some(_) => {}
    }
    Ok(())
}

/// Addresses by the ports that they have, ready ones apart.
fn subsets(service: &Service, spec: &ServiceSpec, view: &View) -> Vec<EndpointSubset> {
    type Addresses = Vec<EndpointAddress>;
    let publish_all = spec.publish_not_ready_addresses == Some(true);
    let mut by_ports: BTreeMap<Vec<TargetPort>, (Addresses, Addresses)> = BTreeMap::new();
    for target in targets::of(service, spec, view) {
        if target.terminating && !publish_all {
            continue;
        }
        let ports = targets::ports(spec, &target.pod);
        let has_ports = spec.ports.as_ref().is_some_and(|ports| !ports.is_empty());
        let Some(ip) = targets::addresses(&target.pod).first().map(|ip| (*ip).to_owned()) else { continue };
        if ports.is_empty() && has_ports {
            continue;
        }
        let address = EndpointAddress {
            ip,
            hostname: targets::hostname(service, &target.pod),
            node_name: Some(pods::node_name(&target.pod).to_owned()).filter(|node| !node.is_empty()),
            target_ref: Some(targets::reference(&target.pod)),
        };
        let (ready, not_ready) = by_ports.entry(ports).or_default();
        if target.serving || publish_all { ready.push(address) } else { not_ready.push(address) }
    }
    let some = |mut list: Addresses| {
        list.sort_by(|a, b| a.ip.cmp(&b.ip));
        (!list.is_empty()).then_some(list)
    };
    by_ports
        .into_iter()
        .map(|(ports, (ready, not_ready))| EndpointSubset {
            addresses: some(ready),
            not_ready_addresses: some(not_ready),
            ports: (!ports.is_empty()).then(|| ports.into_iter().map(port).collect()),
        })
        .collect()
}

fn port(port: TargetPort) -> EndpointPort {
    EndpointPort {
        name: Some(port.name).filter(|name| !name.is_empty()),
        port: port.port,
        protocol: Some(port.protocol),
        app_protocol: port.app_protocol,
    }
}

fn clear(endpoints: &Endpoints, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
    let managed = endpoints.label(MANAGED_BY.0) == Some(MANAGED_BY.1);
    let served = view.get::<Service>(endpoints.namespace(), endpoints.name()).is_some();
    if managed && !served && !endpoints.deleting() {
        plan.push(change::delete(endpoints, view, None), "its Service is gone");
    }
    Ok(())
}

fn service_of(endpoints: &Object, view: &View) -> Vec<Key> {
    let key = &endpoints.header.key;
    vec![Key { kind: view.catalogue().id_of::<Service>(), ..key.clone() }]
}

fn endpoints_of(service: &Object, view: &View) -> Vec<Key> {
    let key = &service.header.key;
    vec![Key { kind: view.catalogue().id_of::<Endpoints>(), ..key.clone() }]
}
