//! Addresses and node ports of services.
//!
//! What is taken is read from the view, and services are written in turns (see [`super::turn`]); so no address or
//! port is given twice, and none is lost when a server dies in between.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use api::{FieldErrors, Path, Status, View};
use k8s_openapi::api::core::v1::Service;
use rand::RngExt;
use serde_json::{Value, json};

use super::Admit;
use crate::write::meta::texts;

/// Addresses at the start of the block that are given only to who asks for them: 16 to 256, a sixteenth of the block.
fn reserved(size: u32) -> u32 {
    (size / 16).clamp(16, 256).min(size / 2)
}

/// Gives a service what its type needs, and takes back what it does not need any more.
pub(super) fn allocate(admit: &Admit<'_>, service: &mut Value) -> Result<(), Status> {
    let mut errors = FieldErrors::default();
    if !service["spec"].is_object() {
        service["spec"] = json!({});
    }
    let old = admit.old.and_then(|old| old.typed::<Service>());
    let taken = Taken::of(admit, service);
    address(admit, service, old, &taken, &mut errors);
    node_ports(admit, service, old, &taken, &mut errors);
    if errors.is_empty() {
        return Ok(());
    }
    let name = service["metadata"]["name"].as_str().unwrap_or_default();
    Err(Status::invalid("", "Service", name, &errors))
}

/// What other services have.
struct Taken {
    addresses: BTreeSet<Ipv4Addr>,
    ports: BTreeSet<i32>,
}

impl Taken {
    fn of(admit: &Admit<'_>, service: &Value) -> Self {
        let name = service["metadata"]["name"].as_str();
        let own = |other: &&Service| {
            other.metadata.name.as_deref() != name || other.metadata.namespace.as_deref() != Some(admit.op.namespace)
        };
        let mut taken = Self { addresses: BTreeSet::new(), ports: BTreeSet::new() };
        for spec in services(admit.view).filter(own).filter_map(|other| other.spec.as_ref()) {
            taken.addresses.extend(spec.cluster_ip.iter().filter_map(|address| address.parse::<Ipv4Addr>().ok()));
            taken.ports.extend(spec.ports.iter().flatten().filter_map(|port| port.node_port));
        }
        taken
    }
}

fn services(view: &View) -> impl Iterator<Item = &Service> {
    view.list::<Service>()
}

fn address(admit: &Admit<'_>, service: &mut Value, old: Option<&Service>, taken: &Taken, errors: &mut FieldErrors) {
    let path = Path::new("spec.clusterIPs");
    let external = service["spec"]["type"] == "ExternalName";
    let old = old.and_then(|old| old.spec.as_ref()).and_then(|spec| spec.cluster_ip.as_deref()).unwrap_or_default();
    let sent = service["spec"]["clusterIP"].as_str().filter(|sent| !sent.is_empty());
    let sent = sent.or_else(|| texts(&service["spec"]["clusterIPs"]).next()).unwrap_or_default().to_owned();
    if external {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            service["spec"].as_object_mut().map(|spec| spec.remove(field));
        }
        return;
    }
    let address = if !old.is_empty() && sent.is_empty() { old.to_owned() } else { sent };
    if !old.is_empty() && address != old {
        errors.invalid(&path.index(0), json!([address]), "may not change once set");
        return;
    }
    let address = match address.as_str() {
        "" => match free_address(admit, taken) {
            Some(free) => free.to_string(),
            None => {
                let why = "failed to allocate IP: range is full";
                errors.invalid(&path, json!([]), why);
                return;
            }
        },
        "None" => address,
        _ if address == old => address,
        text => match wanted_address(admit, text, taken) {
            Ok(address) => address.to_string(),
            Err(why) => {
                errors.invalid(&path, json!([text]), &format!("failed to allocate IP {text}: {why}"));
                return;
            }
        },
    };
    service["spec"]["clusterIP"] = json!(address);
    service["spec"]["clusterIPs"] = json!([address]);
    if service["spec"]["ipFamilies"].is_null() {
        service["spec"]["ipFamilies"] = json!(["IPv4"]);
    }
    if service["spec"]["ipFamilyPolicy"].is_null() {
        service["spec"]["ipFamilyPolicy"] = json!("SingleStack");
    }
}

fn wanted_address(admit: &Admit<'_>, text: &str, taken: &Taken) -> Result<Ipv4Addr, String> {
    let block = admit.op.server.config.service_cidr;
    let not_valid = || format!("the provided IP is not in the valid range. The range of valid IPs is {block}");
    let address: Ipv4Addr = text.parse().map_err(|_| not_valid())?;
    if !block.contains(IpAddr::V4(address)) || address == block.nth(0) || address == block.nth(block.size() - 1) {
        return Err(not_valid());
    }
    if taken.addresses.contains(&address) {
        return Err("provided IP is already allocated".to_owned());
    }
    Ok(address)
}

/// An address that nobody has, from the upper part of the block as long as there is one.
fn free_address(admit: &Admit<'_>, taken: &Taken) -> Option<Ipv4Addr> {
    let block = admit.op.server.config.service_cidr;
    let last = block.size().saturating_sub(1); // The last address is the block's broadcast address.
    let reserved = reserved(block.size());
    let free = |from: u32, to: u32| {
        let count = to.checked_sub(from).filter(|count| *count > 0)?;
        let start = rand::rng().random_range(0..count);
        (0..count).map(|step| block.nth(from + (start + step) % count)).find(|one| !taken.addresses.contains(one))
    };
    free(reserved, last).or_else(|| free(1, reserved))
}

fn node_ports(admit: &Admit<'_>, service: &mut Value, old: Option<&Service>, taken: &Taken, errors: &mut FieldErrors) {
    let range = &admit.op.server.config.node_ports;
    let kind = service["spec"]["type"].as_str().unwrap_or("ClusterIP").to_owned();
    let balanced = kind == "LoadBalancer" && service["spec"]["allocateLoadBalancerNodePorts"] != false;
    let exposed = kind == "NodePort" || balanced;
    let old = old.and_then(|old| old.spec.as_ref());
    let mut given: BTreeSet<i32> = BTreeSet::new();
    let Some(ports) = service.pointer_mut("/spec/ports").and_then(Value::as_array_mut) else { return };
    let sent =
        |port: &Value| port["nodePort"].as_i64().and_then(|port| i32::try_from(port).ok()).filter(|port| *port != 0);
    let chosen: BTreeSet<i32> = ports.iter().filter_map(sent).collect();
    for (at, port) in ports.iter_mut().enumerate() {
        let path = Path::new("spec.ports").index(at).child("nodePort");
        if !exposed {
            drop_node_port(port, &kind, old);
            continue;
        }
        let kept = || kept_port(port, old).filter(|kept| !chosen.contains(kept) && !given.contains(kept));
        match sent(port).or_else(kept) {
            Some(wanted) if !u16::try_from(wanted).is_ok_and(|wanted| range.contains(&wanted)) => {
                let why = format!(
                    "provided port is not in the valid range. The range of valid ports is {}-{}",
                    range.start(),
                    range.end()
                );
                errors.invalid(&path, wanted, &why);
            }
            Some(wanted) if taken.ports.contains(&wanted) => {
                errors.invalid(&path, wanted, "provided port is already allocated");
            }
            Some(wanted) => {
                given.insert(wanted);
                port["nodePort"] = json!(wanted);
            }
            None => match free_port(range, |port| {
                taken.ports.contains(&port) || chosen.contains(&port) || given.contains(&port)
            }) {
                Some(free) => {
                    given.insert(free);
                    port["nodePort"] = json!(free);
                }
                None => errors.invalid(&path, 0, "failed to allocate a nodePort: range is full"),
            },
        }
    }
}

/// The node port that this port of the service had before.
fn kept_port(port: &Value, old: Option<&k8s_openapi::api::core::v1::ServiceSpec>) -> Option<i32> {
    let protocol = |text: Option<&str>| text.unwrap_or("TCP").to_owned();
    old?.ports
        .iter()
        .flatten()
        .find(|other| {
            i64::from(other.port) == port["port"].as_i64().unwrap_or_default()
                && protocol(other.protocol.as_deref()) == protocol(port["protocol"].as_str())
        })
        .and_then(|other| other.node_port)
}

/// Takes a node port back that stems from a type which had one; a port asked for without need is left to validation.
fn drop_node_port(port: &mut Value, kind: &str, old: Option<&k8s_openapi::api::core::v1::ServiceSpec>) {
    let had = old.into_iter().flat_map(|old| old.ports.iter().flatten()).filter_map(|port| port.node_port);
    let stale = had.into_iter().any(|had| port["nodePort"] == had);
    if (stale && kind != "LoadBalancer") || port["nodePort"] == 0 {
        port.as_object_mut().map(|port| port.remove("nodePort"));
    }
}

/// A port that is free, chosen at random from the upper part of the range first.
fn free_port(range: &std::ops::RangeInclusive<u16>, taken: impl Fn(i32) -> bool) -> Option<i32> {
    let (first, last) = (i32::from(*range.start()), i32::from(*range.end()));
    let size = last - first + 1;
    let reserved = (size / 32).clamp(16, 128).min(size / 2);
    let free = |from: i32, to: i32| {
        let count = to - from;
        if count <= 0 {
            return None;
        }
        let start = rand::rng().random_range(0..count);
        (0..count).map(|step| from + (start + step) % count).find(|port| !taken(*port))
    };
    free(first + reserved, last + 1).or_else(|| free(first, first + reserved))
}
