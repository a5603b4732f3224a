//! The table of nodes.

use std::collections::BTreeSet;

use api::{Column, Row};
use k8s_openapi::api::core::v1::{Node, NodeSystemInfo};
use serde_json::Value;

use crate::table::{NONE, UNKNOWN, age, name, string, text_or, wide};

const ROLE_PREFIX: &str = "node-role.kubernetes.io/";

/// Columns of the kind's table.
pub const COLUMNS: &[Column<Node>] = &[
    name(),
    string("Status", status),
    string("Roles", roles),
    age(),
    string("Version", |node, _| Value::from(info(node).kubelet_version)),
    wide(string("Internal-IP", |node, _| Value::from(address(node, "InternalIP")))),
    wide(string("External-IP", |node, _| Value::from(address(node, "ExternalIP")))),
    wide(string("OS-Image", |node, _| text_or(&Some(info(node).os_image), UNKNOWN))),
    wide(string("Kernel-Version", |node, _| text_or(&Some(info(node).kernel_version), UNKNOWN))),
    wide(string("Container-Runtime", |node, _| text_or(&Some(info(node).container_runtime_version), UNKNOWN))),
];

fn info(node: &Node) -> NodeSystemInfo {
    node.status.as_ref().and_then(|status| status.node_info.clone()).unwrap_or_default()
}

fn status(node: &Node, _: Row) -> Value {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let ready = match conditions.iter().find(|condition| condition.type_ == "Ready") {
        Some(condition) if condition.status == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    };
    let unschedulable = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    Value::from(if unschedulable { format!("{ready},SchedulingDisabled") } else { ready.to_owned() })
}

fn roles(node: &Node, _: Row) -> Value {
    let labels = node.metadata.labels.iter().flatten();
    let roles: BTreeSet<&str> = labels
        .filter_map(|(key, value)| match key.strip_prefix(ROLE_PREFIX) {
            Some(role) => Some(role),
            None => (key == "kubernetes.io/role").then_some(value.as_str()),
        })
        .filter(|role| !role.is_empty())
        .collect();
    let roles = roles.into_iter().collect::<Vec<_>>().join(",");
    text_or(&Some(roles), NONE)
}

fn address(node: &Node, kind: &str) -> String {
    let addresses = node.status.as_ref().and_then(|status| status.addresses.as_deref()).unwrap_or_default();
    let found = addresses.iter().find(|address| address.type_ == kind);
    found.map_or_else(|| NONE.to_owned(), |address| address.address.clone())
}
