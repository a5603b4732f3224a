//! Spreads the addresses behind each Service over EndpointSlices.
//!
//! One set of slices per address family and per set of ports. Endpoints stay in the slice where they are, so that
//! one pod's change rewrites one slice. Deliberately absent: topology hints.

use std::collections::BTreeMap;

use api::{Blocked, Controller, GroupKind, Plan, View, Wake};
use k8s_openapi::api::core::v1::{Node, Service, ServiceSpec};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};

use super::slices::{Group, Slices};
use crate::core::service::targets::{self, Target, TargetPort};
use crate::workload::claim::{self, Held};
use crate::workload::meta::Meta;
use crate::workload::pods;

/// Writes EndpointSlices.
pub const CONTROLLER: Controller<Service> = Controller {
    name: "endpointslice",
    wakes: &[Wake::Owned(GroupKind::of::<EndpointSlice>()), Wake::Map(targets::PODS, targets::services_of)],
    plan,
};

fn plan(service: &Service, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
    let Some(spec) = targets::selecting_spec(service) else { return Ok(()) };
    if service.deleting() {
        return Ok(());
    }
    let targets = targets::of(service, spec, view);
    let held: Vec<Held<'_, EndpointSlice>> = claim::controlled(service, view);
    let families = match spec.ip_families.as_deref() {
        Some([_, ..]) => spec.ip_families.clone().unwrap_or_default(),
        _ => vec!["IPv4".to_owned()],
    };
    let mut slices = Slices::new(service, view);
    for family in families {
        let groups = groups(service, spec, &family, &targets, view);
        slices.family(&family, &held, groups, plan);
    }
    slices.delete_others(&held, plan);
    Ok(())
}

/// Endpoints of one address family by the ports that they have.
fn groups(service: &Service, spec: &ServiceSpec, family: &str, targets: &[Target<'_>], view: &View) -> Vec<Group> {
    let mut groups: BTreeMap<Vec<TargetPort>, Vec<Endpoint>> = BTreeMap::new();
    for target in targets {
        let of_family = |ip: &&&str| ip.contains(':') == (family == "IPv6");
        let addresses = targets::addresses(&target.pod);
        let Some(address) = addresses.iter().find(of_family) else { continue };
        let ports = targets::ports(spec, &target.pod);
        if ports.is_empty() && spec.ports.as_ref().is_some_and(|ports| !ports.is_empty()) {
            continue;
        }
        groups.entry(ports).or_default().push(endpoint(service, spec, target, address, view));
    }
    groups
        .into_iter()
        .map(|(ports, endpoints)| Group { ports: ports.into_iter().map(port).collect(), endpoints })
        .collect()
}

fn endpoint(service: &Service, spec: &ServiceSpec, target: &Target<'_>, address: &str, view: &View) -> Endpoint {
    let node_name = Some(pods::node_name(&target.pod).to_owned()).filter(|node| !node.is_empty());
    let node = node_name.as_deref().and_then(|node| view.get::<Node>("", node));
    let publish_all = spec.publish_not_ready_addresses == Some(true);
    Endpoint {
        addresses: vec![address.to_owned()],
        conditions: Some(EndpointConditions {
            // A pod on its way out is never ready, except where readiness does not matter.
            ready: Some(publish_all || (target.serving && !target.terminating)),
            serving: Some(target.serving),
            terminating: Some(target.terminating),
        }),
        hostname: targets::hostname(service, &target.pod),
        zone: node.and_then(|node| node.label("topology.kubernetes.io/zone")).map(str::to_owned),
        node_name,
        target_ref: Some(targets::reference(&target.pod)),
        ..Endpoint::default()
    }
}

fn port(port: TargetPort) -> EndpointPort {
    EndpointPort {
        name: Some(port.name),
        port: Some(port.port),
        protocol: Some(port.protocol),
        app_protocol: port.app_protocol,
    }
}
