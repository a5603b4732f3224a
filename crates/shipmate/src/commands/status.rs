//! `shipmate status`.

use sandbox::Cluster;
use sandbox::config::{ClusterConfig, Nodes};
use sandbox::layout::{Home, Name};
use serde_json::{Value, json};

use super::NotRunning;
use crate::cli::{Format, Status};
use crate::output;

pub(crate) fn run(arguments: &Status) -> anyhow::Result<()> {
    let home = Home::from_env()?;
    let wanted: Option<Name> = arguments.name.as_ref().map(|name| name.parse()).transpose()?;
    let names = match &wanted {
        Some(name) => vec![name.clone()],
        None => home.clusters()?,
    };
    let mut clusters = Vec::new();
    for name in names {
        match Cluster::find(&home, &name)? {
            Some(cluster) => clusters.push((cluster.config().clone(), cluster.status())),
            None if wanted.is_some() => return Err(NotRunning::Absent(name).into()),
            None => {} // Deleted between listing and looking.
        }
    }
    match arguments.output.output {
        Format::Json => {
            let all: Vec<Value> = clusters.iter().map(|(config, status)| json(config, status)).collect();
            match (wanted, all.as_slice()) {
                (Some(_), [one]) => output::print_json(one),
                _ => output::print_json(&all),
            }
        }
        Format::Text if clusters.is_empty() => output::print("there is no cluster: `shipmate start` creates one\n"),
        Format::Text => {
            let rows: Vec<Vec<String>> = clusters.iter().flat_map(|(config, status)| rows(config, status)).collect();
            output::print_table(&["CLUSTER", "PART", "STATE", "PROCESS", "ADDRESS"], &rows)
        }
    }
}

fn rows(config: &ClusterConfig, status: &sandbox::Status) -> Vec<Vec<String>> {
    let row = |part: &str, process: Option<i32>, address: String| {
        let state = if process.is_some() { "running" } else { "stopped" };
        let process = process.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        vec![config.name.to_string(), part.to_owned(), state.to_owned(), process, address]
    };
    let server = format!("https://127.0.0.1:{}", config.api_port);
    let mut rows = vec![row("server", status.server.as_ref().map(|process| process.pid), server)];
    for node in &status.nodes {
        let address = config.network().map(|network| network.node_ip(&node.node).to_string()).unwrap_or_default();
        rows.push(row(node.node.name.as_str(), node.kubelet.as_ref().map(|process| process.pid), address.clone()));
        let part = format!("{} containerd", node.node.name);
        rows.push(row(&part, node.containerd.as_ref().map(|process| process.pid), address));
    }
    if let Nodes::Simulated { count } = config.nodes {
        let process = status.server.as_ref().map(|process| process.pid);
        rows.push(row(&format!("{count} simulated nodes"), process, String::new()));
    }
    rows
}

fn json(config: &ClusterConfig, status: &sandbox::Status) -> Value {
    let pid = |process: &Option<sandbox::process::ProcessId>| process.as_ref().map(|process| process.pid);
    let nodes: Vec<Value> = status
        .nodes
        .iter()
        .map(|node| {
            json!({
                "name": node.node.name,
                "address": config.network().map(|network| network.node_ip(&node.node).to_string()),
                "pid": pid(&node.kubelet),
                "containerdPid": pid(&node.containerd),
            })
        })
        .collect();
    let simulated = if let Nodes::Simulated { count } = config.nodes { count } else { 0 };
    json!({
        "name": config.name,
        "running": status.complete(),
        "server": {"url": format!("https://127.0.0.1:{}", config.api_port), "pid": pid(&status.server)},
        "nodes": nodes,
        "simulatedNodes": simulated,
        "created": config.created,
    })
}
