//! `idle`: what a cluster costs that does nothing.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use crate::cluster::Cluster;
use crate::report::{Amount, Bar, Figure, Report};
use crate::resources::{core_part, memory, processor};

/// After its start a cluster may tidy up for so long.
const SETTLE: Duration = Duration::from_secs(20);
/// For so long it is watched.
const MINUTE: Duration = Duration::from_secs(60);

const BAR_BYTES: u64 = 80_000_000;
const BAR_CORE: f64 = 0.01;

pub(crate) async fn measure(shipmate: &Path, report: &Report) -> anyhow::Result<()> {
    let cluster = Cluster::new(shipmate, "1")?;
    cluster.start()?;
    let processes = cluster.processes()?;
    let node = processes.node.context("the node's process does not run")?;
    let containerd = processes.containerd.context("containerd does not run")?;
    let all = [("server", processes.server), ("node", node), ("containerd", containerd)];
    tokio::time::sleep(SETTLE).await;
    let before: Vec<Duration> = all.iter().map(|(_, pid)| processor(*pid)).collect::<Result<_, _>>()?;
    tokio::time::sleep(MINUTE).await;
    let mut ours = (0, 0, 0.0);
    for ((name, pid), before) in all.into_iter().zip(before) {
        let part = core_part(before, processor(pid)?, MINUTE);
        let memory = memory(pid)?;
        if pid != containerd {
            ours = (ours.0 + memory.resident, ours.1 + memory.proportional, ours.2 + part);
        }
        plain(report, &format!("idle: {name}, resident"), Amount::Bytes(memory.resident));
        plain(report, &format!("idle: {name}, processor"), Amount::Core(part));
    }
    report.figure(&Figure {
        what: "idle: server and node, resident",
        amount: Amount::Bytes(ours.0),
        peer: None,
        bar: Some(Bar::Under(Amount::Bytes(BAR_BYTES))),
    });
    plain(report, "idle: server and node, shared pages once", Amount::Bytes(ours.1));
    report.figure(&Figure {
        what: "idle: server and node, processor",
        amount: Amount::Core(ours.2),
        peer: None,
        bar: Some(Bar::Under(Amount::Core(BAR_CORE))),
    });
    Ok(())
}

fn plain(report: &Report, what: &str, amount: Amount) {
    report.figure(&Figure { what, amount, peer: None, bar: None });
}
