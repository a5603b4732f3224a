//! The zone of the cluster: a projection of services and their endpoints.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use crate::services::Services;

/// Version of the specification, answered as `dns-version.<domain>`.
pub(super) const DNS_VERSION: &str = "1.1.0";

/// One record's data. Names are absolute, lower-case and without the final dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Data {
    Address(IpAddr),
    Alias(String),
    Service { port: u16, target: String },
    Pointer(String),
    Text(&'static str),
}

/// All names of the cluster's domain and the reverse names of its addresses.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    domain: String,
    records: HashMap<String, BTreeSet<Data>>,
    /// Names that have no record but names below them: they exist (RFC 8020).
    parents: BTreeSet<String>,
}

impl Zone {
    /// The zone of `domain`, for example `cluster.local`.
    pub fn project(services: &Services, domain: &str) -> Self {
        let mut zone = Self { domain: domain.to_owned(), ..Self::default() };
        zone.add(&format!("dns-version.{domain}"), Data::Text(DNS_VERSION));
        let by_service = services.by_service();
        for (named, service) in &services.services {
            let slices = by_service.get(named).map(Vec::as_slice).unwrap_or_default();
            zone.add_service(&format!("{}.{}.svc.{domain}", named.1, named.0), service, slices);
        }
        zone
    }

    /// The domain.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether this zone answers for `name`: the name lies in its domain, or it knows the reverse name.
    pub(super) fn owns(&self, name: &str) -> bool {
        let inside = name.strip_suffix(self.domain.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        inside || (name.ends_with(".in-addr.arpa") || name.ends_with(".ip6.arpa")) && self.records.contains_key(name)
    }

    /// Records of a name; `None` when the name does not exist.
    pub(super) fn look_up(&self, name: &str) -> Option<Vec<Data>> {
        if let Some(records) = self.records.get(name) {
            return Some(records.iter().cloned().collect());
        }
        if let Some(address) = self.pod_address(name) {
            return Some(vec![Data::Address(address)]);
        }
        (self.parents.contains(name) || name == self.domain).then(Vec::new)
    }

    /// `10-244-1-5.NAMESPACE.pod.<domain>` spells its own address.
    fn pod_address(&self, name: &str) -> Option<IpAddr> {
        let rest = name.strip_suffix(self.domain.as_str())?.strip_suffix(".pod.")?;
        let (spelled, namespace) = rest.split_once('.')?;
        if namespace.is_empty() || namespace.contains('.') {
            return None;
        }
        spelled.replace('-', ".").parse::<Ipv4Addr>().ok().map(IpAddr::V4)
    }

    fn add(&mut self, name: &str, data: Data) {
        self.add_name(name).insert(data);
    }

    /// Makes a name exist, and with it those above.
    fn add_name(&mut self, name: &str) -> &mut BTreeSet<Data> {
        let mut below = name;
        while let Some((_, above)) = below.split_once('.') {
            if !above.ends_with(&self.domain) || above == self.domain || !self.parents.insert(above.to_owned()) {
                break;
            }
            below = above;
        }
        self.records.entry(name.to_owned()).or_default()
    }

    fn add_service(&mut self, name: &str, service: &Service, slices: &[&EndpointSlice]) {
        let Some(spec) = &service.spec else { return };
        if spec.type_.as_deref() == Some("ExternalName") {
            if let Some(target) = &spec.external_name {
                self.add(name, Data::Alias(target.trim_end_matches('.').to_lowercase()));
            }
            return;
        }
        if spec.cluster_ip.as_deref() == Some("None") {
            let unready = spec.publish_not_ready_addresses.unwrap_or_default();
            self.add_headless(name, unready, slices);
            return;
        }
        let addresses: Vec<IpAddr> = match &spec.cluster_ips {
            Some(ips) => ips.iter().filter_map(|ip| ip.parse().ok()).collect(),
            None => spec.cluster_ip.iter().filter_map(|ip| ip.parse().ok()).collect(),
        };
        for address in addresses {
            self.add(name, Data::Address(address));
            self.add(&reverse(address), Data::Pointer(name.to_owned()));
        }
        for port in spec.ports.iter().flatten() {
            let protocol = port.protocol.as_deref().unwrap_or("TCP").to_lowercase();
            if let (Some(port_name), Ok(number)) = (&port.name, u16::try_from(port.port)) {
                let data = Data::Service { port: number, target: name.to_owned() };
                self.add(&format!("_{port_name}._{protocol}.{name}"), data);
            }
        }
    }

    fn add_headless(&mut self, name: &str, unready: bool, slices: &[&EndpointSlice]) {
        // A headless service without endpoints exists all the same.
        self.add_name(name);
        for slice in slices {
            for endpoint in slice.endpoints.iter().flatten().filter(|endpoint| unready || ready(endpoint)) {
                for address in endpoint.addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok()) {
                    let host = match &endpoint.hostname {
                        Some(hostname) => hostname.clone(),
                        None => address.to_string().replace(['.', ':'], "-"),
                    };
                    let target = format!("{host}.{name}");
                    self.add(name, Data::Address(address));
                    self.add(&target, Data::Address(address));
                    if endpoint.hostname.is_some() {
                        self.add(&reverse(address), Data::Pointer(target.clone()));
                    }
                    self.add_endpoint_ports(name, &target, slice);
                }
            }
        }
    }

    fn add_endpoint_ports(&mut self, name: &str, target: &str, slice: &EndpointSlice) {
        for port in slice.ports.iter().flatten() {
            let protocol = port.protocol.as_deref().unwrap_or("TCP").to_lowercase();
            let named = port.name.as_deref().filter(|name| !name.is_empty());
            if let (Some(port_name), Some(Ok(number))) = (named, port.port.map(u16::try_from)) {
                let data = Data::Service { port: number, target: target.to_owned() };
                self.add(&format!("_{port_name}._{protocol}.{name}"), data);
            }
        }
    }
}

fn ready(endpoint: &Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true)
}

/// The name under which an address is looked up backwards (RFC 1035 section 3.5, RFC 3596).
pub(super) fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            let labels: Vec<String> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            format!("{}.ip6.arpa", labels.join("."))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn zone(services: Value, slices: Value) -> Zone {
        let services: Vec<Service> = serde_json::from_value(services).unwrap();
        let slices: Vec<EndpointSlice> = serde_json::from_value(slices).unwrap();
        let mut known = Services::default();
        for service in services {
            let name = service.metadata.name.clone().unwrap();
            known.services.insert(("shop".to_owned(), name), Arc::new(service));
        }
        for slice in slices {
            let name = slice.metadata.name.clone().unwrap();
            known.slices.insert(("shop".to_owned(), name), Arc::new(slice));
        }
        Zone::project(&known, "cluster.local")
    }

    fn example() -> Zone {
        zone(
            json!([
                {"metadata": {"name": "web"}, "spec": {"clusterIP": "10.96.0.7", "ports": [{"name": "http", "port": 80}, {"port": 81}]}},
                {"metadata": {"name": "db"}, "spec": {"clusterIP": "None", "ports": [{"name": "sql", "port": 5432}]}},
                {"metadata": {"name": "empty"}, "spec": {"clusterIP": "None"}},
                {"metadata": {"name": "out"}, "spec": {"type": "ExternalName", "externalName": "Example.COM."}},
            ]),
            json!([{
                "metadata": {"name": "db-1", "labels": {"kubernetes.io/service-name": "db"}}, "addressType": "IPv4",
                "ports": [{"name": "sql", "port": 5432, "protocol": "TCP"}],
                "endpoints": [
                    {"addresses": ["10.244.1.5"], "hostname": "db-0", "conditions": {"ready": true}},
                    {"addresses": ["10.244.1.6"], "conditions": {"ready": true}},
                    {"addresses": ["10.244.1.7"], "conditions": {"ready": false}},
                ],
            }]),
        )
    }

    fn address(text: &str) -> Data {
        Data::Address(text.parse().unwrap())
    }

    #[test]
    fn every_kind_of_name_has_its_records() {
        let zone = example();
        let service = |port, target: &str| Data::Service { port, target: target.to_owned() };
        let pointer = |target: &str| Data::Pointer(target.to_owned());
        let cases = [
            ("web.shop.svc.cluster.local", vec![address("10.96.0.7")]),
            ("_http._tcp.web.shop.svc.cluster.local", vec![service(80, "web.shop.svc.cluster.local")]),
            ("7.0.96.10.in-addr.arpa", vec![pointer("web.shop.svc.cluster.local")]),
            ("db.shop.svc.cluster.local", vec![address("10.244.1.5"), address("10.244.1.6")]),
            ("db-0.db.shop.svc.cluster.local", vec![address("10.244.1.5")]),
            ("10-244-1-6.db.shop.svc.cluster.local", vec![address("10.244.1.6")]),
            (
                "_sql._tcp.db.shop.svc.cluster.local",
                vec![
                    service(5432, "10-244-1-6.db.shop.svc.cluster.local"),
                    service(5432, "db-0.db.shop.svc.cluster.local"),
                ],
            ),
            ("5.1.244.10.in-addr.arpa", vec![pointer("db-0.db.shop.svc.cluster.local")]),
            ("empty.shop.svc.cluster.local", vec![]),
            ("out.shop.svc.cluster.local", vec![Data::Alias("example.com".to_owned())]),
            ("10-244-1-9.shop.pod.cluster.local", vec![address("10.244.1.9")]),
            ("dns-version.cluster.local", vec![Data::Text(DNS_VERSION)]),
            ("shop.svc.cluster.local", vec![]),
            ("svc.cluster.local", vec![]),
            ("_tcp.web.shop.svc.cluster.local", vec![]),
            ("cluster.local", vec![]),
        ];
        for (name, records) in cases {
            assert!(zone.owns(name), "{name}");
            assert_eq!(zone.look_up(name), Some(records), "{name}");
        }
    }

    #[test]
    fn what_is_not_there_does_not_exist_or_is_not_ours() {
        let zone = example();
        for name in [
            "db-9.db.shop.svc.cluster.local",
            "none.shop.svc.cluster.local",
            "web.other.svc.cluster.local",
            "a-b.shop.pod.cluster.local",
        ] {
            assert!(zone.owns(name), "{name}");
            assert_eq!(zone.look_up(name), None, "{name}");
        }
        for name in ["example.com", "xcluster.local", "1.1.1.1.in-addr.arpa", "local", ""] {
            assert!(!zone.owns(name), "{name}");
        }
    }
}
