//! `shipmate ip`.

use anyhow::{Context as _, bail};
use serde_json::json;

use super::find;
use crate::cli::{Format, Ip};
use crate::output;

pub(crate) fn run(arguments: &Ip) -> anyhow::Result<()> {
    let cluster = find(&arguments.which)?;
    let config = cluster.config();
    let Some(network) = config.network() else {
        bail!("the nodes of cluster {} are simulated: they have no address", config.name)
    };
    let nodes = config.real_nodes();
    let node = match &arguments.node {
        Some(name) => nodes.iter().find(|node| node.name.as_str() == name),
        None => nodes.first(),
    };
    let node = node.with_context(|| {
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        format!("cluster {} has no such node; its nodes are {}", config.name, names.join(", "))
    })?;
    let address = network.node_ip(node);
    match arguments.output.output {
        Format::Text => output::print(&format!("{address}\n")),
        Format::Json => output::print_json(&json!({"node": node.name, "address": address.to_string()})),
    }
}
