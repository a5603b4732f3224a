//! Addresses of one type, with the ports that all of them have.

use std::collections::BTreeSet;

use api::{FieldErrors, Path};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use serde_json::Value;

use crate::checks;
use crate::value::{default, default_text, each};

const ENDPOINTS_MAX: usize = 1000;
const ADDRESSES_MAX: usize = 100;
const PORTS_MAX: usize = 20_000;

/// Ports are TCP and without a name unless they say otherwise.
pub fn defaults(slice: &mut Value) {
    for port in each(slice, "ports") {
        default(port, "name", "");
        default_text(port, "protocol", "TCP");
    }
}

/// Reports everything that is wrong.
pub fn validate(slice: &EndpointSlice, old: Option<&EndpointSlice>, errors: &mut FieldErrors) {
    let path = Path::new("addressType");
    let kind = slice.address_type.as_str();
    match kind {
        "" => errors.required(&path, ""),
        "FQDN" | "IPv4" | "IPv6" => {}
        other => errors.not_supported(&path, other, &["FQDN", "IPv4", "IPv6"]),
    }
    if let Some(old) = old {
        errors.immutable(&path, &slice.address_type, &old.address_type, kind);
    }
    let endpoints = slice.endpoints.as_deref().unwrap_or_default();
    let path = Path::new("endpoints");
    if endpoints.len() > ENDPOINTS_MAX {
        return errors.too_many(&path, endpoints.len(), ENDPOINTS_MAX);
    }
    for (index, one) in endpoints.iter().enumerate() {
        endpoint(one, kind, &path.index(index), errors);
    }
    let ports = slice.ports.as_deref().unwrap_or_default();
    let path = Path::new("ports");
    if ports.len() > PORTS_MAX {
        return errors.too_many(&path, ports.len(), PORTS_MAX);
    }
    let mut names = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        let name = port.name.as_deref().unwrap_or_default();
        if !name.is_empty() {
            checks::name(errors, &path.child("name"), name, checks::LABEL);
        }
        if !names.insert(name) {
            errors.duplicate(&path.child("name"), name);
        }
        checks::protocol(errors, &path.child("protocol"), port.protocol.as_deref());
        if let Some(protocol) = &port.app_protocol {
            checks::name(errors, &path.child("appProtocol"), protocol, checks::QUALIFIED);
        }
    }
}

fn endpoint(endpoint: &Endpoint, kind: &str, path: &Path, errors: &mut FieldErrors) {
    let addresses_path = path.child("addresses");
    match endpoint.addresses.len() {
        0 => errors.required(&addresses_path, "must contain at least 1 address"),
        count if count > ADDRESSES_MAX => errors.too_many(&addresses_path, count, ADDRESSES_MAX),
        _ => {}
    }
    for (index, address) in endpoint.addresses.iter().enumerate() {
        let path = addresses_path.index(index);
        match kind {
            "IPv4" | "IPv6" => {
                let wanted =
                    if kind == "IPv4" { "must be a valid IPv4 address" } else { "must be a valid IPv6 address" };
                let of_kind =
                    address.parse().is_ok_and(|parsed: std::net::IpAddr| parsed.is_ipv4() == (kind == "IPv4"));
                if of_kind {
                    checks::usable_ip(errors, &path, address);
                } else {
                    errors.invalid(&path, address.as_str(), wanted);
                }
            }
            "FQDN" => checks::name(errors, &path, address.trim_end_matches('.'), checks::SUBDOMAIN),
            _ => {}
        }
    }
    if let Some(node) = &endpoint.node_name {
        checks::name(errors, &path.child("nodeName"), node, checks::SUBDOMAIN);
    }
    if let Some(hostname) = &endpoint.hostname {
        checks::name(errors, &path.child("hostname"), hostname, checks::LABEL);
    }
}
