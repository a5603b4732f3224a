//! Defaults of services, and what an update does not have to repeat.

use serde_json::{Value, json};

use crate::value::{at, clear_status, default, default_text, each, has, object, put, remove, text};

/// Seconds that a client stays with its pod when affinity is asked for: three hours.
const AFFINITY_SECONDS: i64 = 10_800;

/// Defaults of a service.
pub fn defaults(service: &mut Value) {
    let Some(spec) = object(service, "spec") else { return };
    default_text(spec, "sessionAffinity", "None");
    match text(spec, "sessionAffinity") {
        "None" => drop(remove(spec, "sessionAffinityConfig")),
        "ClientIP" if spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"].is_null() => {
            put(spec, "sessionAffinityConfig", json!({ "clientIP": { "timeoutSeconds": AFFINITY_SECONDS } }));
        }
        _ => {}
    }
    default_text(spec, "type", "ClusterIP");
    for port in each(spec, "ports") {
        default_text(port, "protocol", "TCP");
        let open = port["targetPort"].is_null() || port["targetPort"] == 0 || port["targetPort"] == "";
        let number = port["port"].clone();
        if open && port.is_object() && !number.is_null() {
            put(port, "targetPort", number);
        }
    }
    let kind = text(spec, "type").to_owned();
    let with_external_ips = spec["externalIPs"].as_array().is_some_and(|addresses| !addresses.is_empty());
    if ["NodePort", "LoadBalancer"].contains(&kind.as_str()) || kind == "ClusterIP" && with_external_ips {
        default_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if ["ClusterIP", "NodePort", "LoadBalancer"].contains(&kind.as_str()) {
        default(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", true);
    }
    both_addresses(spec);
    if kind != "ExternalName" {
        default(spec, "ipFamilies", json!(["IPv4"]));
        default(spec, "ipFamilyPolicy", "SingleStack");
    }
    if let Some(status) = object(service, "status") {
        default(status, "loadBalancer", json!({}));
    }
}

/// `clusterIP` is the first of `clusterIPs`; who writes the one means both.
fn both_addresses(spec: &mut Value) {
    let one = text(spec, "clusterIP").to_owned();
    let several = spec["clusterIPs"].as_array().is_some_and(|addresses| !addresses.is_empty());
    if !one.is_empty() && !several {
        put(spec, "clusterIPs", json!([one]));
    } else if one.is_empty() && several {
        let first = spec["clusterIPs"][0].clone();
        put(spec, "clusterIP", first);
    }
}

/// On update, addresses and ports that the service has are kept when the new spec leaves them open, so that people
/// can `replace` from the file that they created from; what a change of type makes meaningless is dropped.
pub fn prepare(service: &mut Value, old: Option<&Value>) {
    clear_status(service, old);
    let (Some(old), Some(spec)) = (old.map(|old| &old["spec"]), at(service, "spec")) else { return };
    let kind = match text(spec, "type") {
        "" => "ClusterIP".to_owned(),
        kind => kind.to_owned(),
    };
    follow_cluster_ip(spec, old);
    if kind == "ExternalName" {
        drop_what_was(spec, old, &["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]);
        drop_what_was(spec, old, &["internalTrafficPolicy"]);
    } else if text(old, "type") != "ExternalName" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            keep(spec, old, field);
        }
    }
    if kind == "LoadBalancer" && text(spec, "externalTrafficPolicy") == "Local" {
        keep(spec, old, "healthCheckNodePort");
    } else {
        drop_what_was(spec, old, &["healthCheckNodePort"]);
    }
    if kind == "LoadBalancer" {
        if text(old, "type") == "LoadBalancer" {
            keep(spec, old, "loadBalancerClass");
        }
    } else {
        drop_what_was(spec, old, &["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
    }
    if ["NodePort", "LoadBalancer"].contains(&kind.as_str()) {
        keep_node_ports(spec, old);
    } else {
        forget_node_ports(spec, old);
        if spec["externalIPs"].as_array().is_none_or(Vec::is_empty) {
            drop_what_was(spec, old, &["externalTrafficPolicy"]);
        }
    }
}

/// A client that changes only `clusterIP` means the first of `clusterIPs` too.
fn follow_cluster_ip(spec: &mut Value, old: &Value) {
    let changed = has(spec, "clusterIP") && spec["clusterIP"] != old["clusterIP"];
    if changed && (!has(spec, "clusterIPs") || spec["clusterIPs"] == old["clusterIPs"]) {
        let one = text(spec, "clusterIP").to_owned();
        if one.is_empty() {
            remove(spec, "clusterIPs");
        } else {
            put(spec, "clusterIPs", json!([one]));
        }
    }
}

fn keep(spec: &mut Value, old: &Value, field: &str) {
    let open = !has(spec, field) || spec[field] == "" || spec[field] == 0;
    if open && has(old, field) {
        put(spec, field, old[field].clone());
    }
}

/// Drops fields that the client did not change: what it did change, validation has to judge.
fn drop_what_was(spec: &mut Value, old: &Value, fields: &[&str]) {
    for field in fields {
        if spec[*field] == old[*field] {
            remove(spec, field);
        }
    }
}

fn same_port(port: &Value, other: &Value) -> bool {
    let protocol = |port: &Value| match text(port, "protocol") {
        "" => "TCP".to_owned(),
        protocol => protocol.to_owned(),
    };
    port["port"] == other["port"] && protocol(port) == protocol(other)
}

fn keep_node_ports(spec: &mut Value, old: &Value) {
    let before: Vec<Value> = old["ports"].as_array().cloned().unwrap_or_default();
    let mut taken: Vec<Value> = each(spec, "ports").map(|port| port["nodePort"].clone()).collect();
    for port in each(spec, "ports").filter(|port| port["nodePort"].is_null() || port["nodePort"] == 0) {
        let known = before.iter().find(|other| same_port(port, other)).map(|other| other["nodePort"].clone());
        if let Some(number) = known.filter(|number| !number.is_null() && !taken.contains(number))
            && port.is_object()
        {
            taken.push(number.clone());
            put(port, "nodePort", number);
        }
    }
}

fn forget_node_ports(spec: &mut Value, old: &Value) {
    let before: Vec<Value> = old["ports"].as_array().cloned().unwrap_or_default();
    for port in each(spec, "ports") {
        if before.iter().any(|other| has(other, "nodePort") && other["nodePort"] == port["nodePort"]) {
            remove(port, "nodePort");
        }
    }
}
