//! Brings the table into the kernel whenever it changes.

use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::ruleset::{Addresses, ruleset};
use super::table::{HostPort, Table};
use crate::services::Services;

/// Changes that come within this time are applied together: a rollout changes endpoints many times a second.
const GATHER: Duration = Duration::from_millis(20);
/// How long after a failure the table is applied again.
const RETRY: Duration = Duration::from_secs(2);

/// The service proxy of one node.
pub struct Proxy {
    /// Name of the node.
    pub node: String,
    /// Address that the node itself serves: cluster DNS.
    pub dns: std::net::Ipv4Addr,
    /// Addresses of the cluster.
    pub addresses: Addresses,
    /// Services and endpoints.
    pub services: watch::Receiver<Option<Arc<Services>>>,
    /// Host ports of the node's pods.
    pub host_ports: watch::Receiver<Vec<HostPort>>,
}

impl Proxy {
    fn table(&mut self) -> Table {
        let services = self.services.borrow_and_update().clone().unwrap_or_default();
        let host_ports = self.host_ports.borrow_and_update().clone();
        Table::project(&services, &host_ports, &self.node, self.dns)
    }
}

/// Applies the table at once and after each change, until `stop`.
pub async fn run(mut proxy: Proxy, stop: CancellationToken) {
    let mut applied: Option<Table> = None;
    loop {
        let table = proxy.table();
        let mut failed = false;
        if applied.as_ref() != Some(&table) {
            match load(&ruleset(&table, &proxy.addresses)).await {
                Ok(()) => applied = Some(table),
                Err(error) => {
                    tracing::warn!(%error, "service rules could not be loaded and will be tried again");
                    applied = None;
                    failed = true;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(RETRY), if failed => {}
            Ok(()) = proxy.services.changed() => tokio::time::sleep(GATHER).await,
            Ok(()) = proxy.host_ports.changed() => tokio::time::sleep(GATHER).await,
            // Both senders are gone: the node is shutting down.
            else => return,
        }
    }
}

async fn load(text: &str) -> io::Result<()> {
    let mut nft = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = nft.stdin.take() {
        stdin.write_all(text.as_bytes()).await?;
    }
    let output = nft.wait_with_output().await?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("nft: {}", String::from_utf8_lossy(&output.stderr).trim())))
}
