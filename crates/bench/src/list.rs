//! `list`: a LIST of 10,000 objects, and one event to 1,000 watchers; beside plain TCP that carries the same bytes.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::cluster::Cluster;
use crate::report::{Amount, Figure, Peer, Report};
use crate::samples::{median, quantile};
use crate::{load, watchers};

const CLIENTS: usize = 20;
const EACH: usize = 500;
/// Bytes in each object.
const PAYLOAD: usize = 1_000;
const ROUNDS: usize = 9;
const WATCHERS: usize = 1_000;

pub(crate) async fn measure(shipmate: &Path, report: &Report) -> anyhow::Result<()> {
    let cluster = Cluster::new(shipmate, "simulated:1")?;
    cluster.start()?;
    let client = cluster.client().await?;
    load::namespace(&client).await?;
    load::create(&cluster, CLIENTS, EACH, PAYLOAD).await?;
    let (mut times, mut floor, mut bytes) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        bytes = load::get(&client, load::CONFIG_MAPS).await?;
        times.push(started.elapsed());
        floor.push(loopback(bytes).await?);
    }
    let (list, tcp) = (median(&times), median(&floor));
    report.figure(&Figure {
        what: "list: LIST of 10,000 ConfigMaps of 1 kB",
        amount: Amount::Time(list),
        peer: Some(Peer { what: "same bytes over TCP without TLS", amount: Amount::Time(tcp) }),
        bar: None,
    });
    let rate = |time: Duration| Amount::BytesPerSecond(bytes as f64 / time.as_secs_f64());
    report.figure(&Figure {
        what: "list: throughput",
        amount: rate(list),
        peer: Some(Peer { what: "over TCP without TLS", amount: rate(tcp) }),
        bar: None,
    });
    let seen = watchers::api(&cluster, WATCHERS).await?;
    let floor = watchers::plain(WATCHERS, seen.event_bytes).await?;
    for (what, part) in [
        ("list: one change to 1,000 watchers, median watcher", 0.5),
        ("list: one change to 1,000 watchers, last watcher", 1.0),
    ] {
        report.figure(&Figure {
            what,
            amount: Amount::Time(typical(&seen.latencies, part)),
            peer: Some(Peer {
                what: "same bytes to 1,000 TCP sockets without TLS",
                amount: Amount::Time(typical(&floor, part)),
            }),
            bar: None,
        });
    }
    Ok(())
}

/// The median over all changes of that quantile over the watchers of each.
fn typical(changes: &[Vec<Duration>], part: f64) -> Duration {
    median(&changes.iter().map(|latencies| quantile(latencies, part)).collect::<Vec<_>>())
}

/// How long it takes to ask for and get that many bytes over loopback.
async fn loopback(bytes: usize) -> anyhow::Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let sending = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let block = vec![b'x'; bytes];
        stream.read_u8().await?;
        stream.write_all(&block).await
    });
    let mut stream = TcpStream::connect(address).await?;
    let mut buffer = vec![0; 64 << 10];
    let started = Instant::now();
    stream.write_u8(1).await?;
    while stream.read(&mut buffer).await? > 0 {}
    let took = started.elapsed();
    sending.await??;
    Ok(took)
}
