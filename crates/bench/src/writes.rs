//! `writes`: creates a second from 64 clients, each answered after its fsync; and the disk alone.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::cluster::Cluster;
use crate::load;
use crate::report::{Amount, Bar, Figure, Peer, Report};
use crate::samples::{median, quantile};

const CLIENTS: usize = 64;
const EACH: usize = 300;
/// Creates before those that count.
const WARM_UP: usize = 10;
/// Bytes in each object.
const PAYLOAD: usize = 200;
/// For so long the disk alone is measured.
const DISK: Duration = Duration::from_secs(2);

const BAR: f64 = 2_000.0;

pub(crate) async fn measure(shipmate: &Path, report: &Report) -> anyhow::Result<()> {
    let cluster = Cluster::new(shipmate, "simulated:1")?;
    cluster.start()?;
    load::namespace(&cluster.client().await?).await?;
    for number in 0..WARM_UP {
        let body = load::config_map(&format!("warm-up-{number}"), PAYLOAD);
        load::post(&cluster.client().await?, load::CONFIG_MAPS, body).await?;
    }
    let created = load::create(&cluster, CLIENTS, EACH, PAYLOAD).await?;
    let home = cluster.home().to_owned();
    let bytes = created.object_bytes;
    let (alone, grouped) = tokio::task::spawn_blocking(move || {
        Ok::<_, anyhow::Error>((disk(&home, bytes, 1)?, disk(&home, bytes, CLIENTS)?))
    })
    .await??;
    let rate = created.each.len() as f64 / created.took.as_secs_f64();
    report.figure(&Figure {
        what: "writes: durable creates, 64 clients",
        amount: Amount::PerSecond(rate),
        peer: Some(Peer { what: "same bytes appended, fdatasync after each 64", amount: Amount::PerSecond(grouped) }),
        bar: Some(Bar::AtLeast(Amount::PerSecond(BAR))),
    });
    report.figure(&Figure {
        what: "writes: same, beside one writer that syncs each",
        amount: Amount::PerSecond(rate),
        peer: Some(Peer { what: "same bytes appended, fdatasync after each", amount: Amount::PerSecond(alone) }),
        bar: None,
    });
    for (what, time) in [
        ("writes: a create, median", median(&created.each)),
        ("writes: a create, 99 of 100", quantile(&created.each, 0.99)),
    ] {
        report.figure(&Figure { what, amount: Amount::Time(time), peer: None, bar: None });
    }
    Ok(())
}

/// Appends objects to a file and makes each `group` durable; objects a second.
fn disk(dir: &Path, bytes: usize, group: usize) -> anyhow::Result<f64> {
    let path = dir.join("appended");
    let mut file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    let block = vec![b'x'; bytes * group];
    let (started, mut written) = (Instant::now(), 0);
    while started.elapsed() < DISK {
        file.write_all(&block)?;
        file.sync_data()?;
        written += group;
    }
    let rate = written as f64 / started.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(rate)
}
