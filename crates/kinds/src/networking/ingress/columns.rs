//! The table of ingresses.

use std::collections::BTreeSet;

use api::{Column, Row};
use k8s_openapi::api::networking::v1::Ingress;
use serde_json::Value;

use crate::table::{NONE, age, name, string, text_or};

/// Columns of the kind's table.
pub const COLUMNS: &[Column<Ingress>] = &[
    name(),
    string("Class", |ingress, _| {
        text_or(&ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.clone()), NONE)
    }),
    string("Hosts", hosts),
    string("Address", addresses),
    string("Ports", |ingress, _| {
        let tls = ingress.spec.as_ref().and_then(|spec| spec.tls.as_ref()).is_some_and(|tls| !tls.is_empty());
        Value::from(if tls { "80, 443" } else { "80" })
    }),
    age(),
];

fn hosts(ingress: &Ingress, _: Row) -> Value {
    const SHOWN: usize = 3;
    let rules = ingress.spec.as_ref().and_then(|spec| spec.rules.as_deref()).unwrap_or_default();
    let named = rules.iter().filter_map(|rule| rule.host.as_deref()).filter(|host| !host.is_empty());
    let hosts: Vec<&str> = named.collect();
    Value::from(match hosts.len() {
        0 => "*".to_owned(),
        1..=SHOWN => hosts.join(","),
        _ => format!("{} + {} more...", hosts[..SHOWN].join(","), rules.len() - SHOWN),
    })
}

fn addresses(ingress: &Ingress, _: Row) -> Value {
    let balancer = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let points = balancer.and_then(|balancer| balancer.ingress.as_deref()).unwrap_or_default();
    let addresses: BTreeSet<&str> = points
        .iter()
        .filter_map(|point| [&point.ip, &point.hostname].into_iter().flatten().find(|text| !text.is_empty()))
        .map(String::as_str)
        .collect();
    Value::from(addresses.into_iter().collect::<Vec<_>>().join(","))
}
