//! The process of a node: kubelet, service proxy and cluster DNS, inside the node's namespaces.

use std::net::Ipv4Addr;

use anyhow::Context as _;

use crate::cli::NodeProcess;

/// Address of the cluster's DNS, which every node serves itself.
pub(crate) const DNS: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

/// Runs a node until told to stop. Its pods go on: stopping them is `shipmate stop`'s work.
pub(crate) fn run(arguments: &NodeProcess) -> anyhow::Result<()> {
    let path = &arguments.config;
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let config: node::Config = serde_json::from_str(&text).with_context(|| format!("understand {}", path.display()))?;
    super::run(|stop| async move { node::run(config, stop).await.context("run the node") })
}
