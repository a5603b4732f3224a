//! Addresses that can be reached, with ports that are named when there are several.

use api::{FieldErrors, Path};
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, Endpoints};
use serde_json::Value;

use crate::checks;
use crate::value::{default_text, each};

/// Ports are TCP unless they say otherwise.
pub fn defaults(endpoints: &mut Value) {
    for subset in each(endpoints, "subsets") {
        each(subset, "ports").for_each(|port| default_text(port, "protocol", "TCP"));
    }
}

/// Reports everything that is wrong.
pub fn validate(endpoints: &Endpoints, _: Option<&Endpoints>, errors: &mut FieldErrors) {
    for (index, subset) in endpoints.subsets.iter().flatten().enumerate() {
        let path = Path::new("subsets").index(index);
        let ready = subset.addresses.as_deref().unwrap_or_default();
        let not_ready = subset.not_ready_addresses.as_deref().unwrap_or_default();
        if ready.is_empty() && not_ready.is_empty() {
            errors.required(&path, "must specify `addresses` or `notReadyAddresses`");
        }
        for (field, addresses) in [("addresses", ready), ("notReadyAddresses", not_ready)] {
            for (index, one) in addresses.iter().enumerate() {
                address(one, &path.child(field).index(index), errors);
            }
        }
        let ports = subset.ports.as_deref().unwrap_or_default();
        for (index, one) in ports.iter().enumerate() {
            port(one, ports.len() > 1, &path.child("ports").index(index), errors);
        }
    }
}

fn address(address: &EndpointAddress, path: &Path, errors: &mut FieldErrors) {
    checks::usable_ip(errors, &path.child("ip"), &address.ip);
    if let Some(hostname) = address.hostname.as_deref().filter(|name| !name.is_empty()) {
        checks::name(errors, &path.child("hostname"), hostname, checks::LABEL);
    }
    if let Some(node) = &address.node_name {
        checks::name(errors, &path.child("nodeName"), node, checks::SUBDOMAIN);
    }
}

fn port(port: &EndpointPort, named: bool, path: &Path, errors: &mut FieldErrors) {
    match port.name.as_deref().unwrap_or_default() {
        "" if named => errors.required(&path.child("name"), ""),
        "" => {}
        name => checks::name(errors, &path.child("name"), name, checks::LABEL),
    }
    checks::port(errors, &path.child("port"), port.port);
    checks::protocol(errors, &path.child("protocol"), port.protocol.as_deref());
    if let Some(protocol) = &port.app_protocol {
        checks::name(errors, &path.child("appProtocol"), protocol, checks::QUALIFIED);
    }
}
