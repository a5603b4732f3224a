//! The table of services.

use std::collections::BTreeSet;

use api::{Column, Row};
use k8s_openapi::api::core::v1::{LoadBalancerIngress, Service, ServiceSpec};
use serde_json::Value;

use crate::table::{self, NONE, UNKNOWN, age, name, string, text, text_or, wide};

/// Columns of the kind's table.
pub const COLUMNS: &[Column<Service>] = &[
    name(),
    string("Type", |service, _| text(&service.spec.as_ref().and_then(|spec| spec.type_.clone()))),
    string("Cluster-IP", |service, _| {
        let addresses = service.spec.as_ref().and_then(|spec| spec.cluster_ips.as_ref());
        text_or(&addresses.and_then(|addresses| addresses.first().cloned()), NONE)
    }),
    string("External-IP", |service, row| Value::from(external(service, row))),
    string("Port(s)", ports),
    age(),
    wide(string("Selector", |service, _| {
        Value::from(table::labels(service.spec.as_ref().and_then(|spec| spec.selector.as_ref())))
    })),
];

fn external(service: &Service, _: Row) -> String {
    let absent = ServiceSpec::default();
    let spec = service.spec.as_ref().unwrap_or(&absent);
    let given = spec.external_ips.clone().unwrap_or_default();
    let or = |addresses: Vec<String>, absent: &str| {
        if addresses.is_empty() { absent.to_owned() } else { addresses.join(",") }
    };
    match spec.type_.as_deref() {
        Some("ClusterIP" | "NodePort") => or(given, NONE),
        Some("LoadBalancer") => {
            let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
            let mut balanced = balancers(status.and_then(|status| status.ingress.as_deref()).unwrap_or_default());
            balanced.extend(given);
            or(balanced, "<pending>")
        }
        Some("ExternalName") => spec.external_name.clone().unwrap_or_default(),
        _ => UNKNOWN.to_owned(),
    }
}

fn balancers(ingress: &[LoadBalancerIngress]) -> Vec<String> {
    let address = |one: &LoadBalancerIngress| {
        [&one.ip, &one.hostname].into_iter().flatten().find(|text| !text.is_empty()).cloned()
    };
    ingress.iter().filter_map(address).collect::<BTreeSet<_>>().into_iter().collect()
}

fn ports(service: &Service, _: Row) -> Value {
    let ports = service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    let shown: Vec<String> = ports
        .iter()
        .map(|port| {
            let protocol = port.protocol.as_deref().unwrap_or_default();
            match port.node_port.filter(|number| *number > 0) {
                Some(number) => format!("{}:{number}/{protocol}", port.port),
                None => format!("{}/{protocol}", port.port),
            }
        })
        .collect();
    text_or(&Some(shown.join(",")), NONE)
}
