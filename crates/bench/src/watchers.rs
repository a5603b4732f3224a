//! Many watchers of one collection, and how long each waits for a change.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use http::Request;
use http_body_util::BodyExt as _;
use kube::client::Body;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::load;

/// Changes that are watched, one after another.
const CHANGES: usize = 20;
/// Longest wait for a change to be seen by everybody.
const PATIENCE: Duration = Duration::from_secs(30);

/// What watchers saw.
pub(crate) struct Seen {
    /// For each change, how long each watcher waited for it, from the moment when it was asked for.
    pub(crate) latencies: Vec<Vec<Duration>>,
    /// Bytes of one event.
    pub(crate) event_bytes: usize,
}

/// An event has arrived whole: when, and how long it was.
type Arrival = (Instant, usize);

/// Watchers of the API server, each on a connection of its own.
pub(crate) async fn api(cluster: &Cluster, watchers: usize) -> anyhow::Result<Seen> {
    let client = cluster.client().await?;
    let path = format!("{}?watch=1&resourceVersion={}", load::CONFIG_MAPS, revision(&client).await?);
    let (sender, mut arrivals) = mpsc::channel(watchers);
    let mut tasks = JoinSet::new();
    for _ in 0..watchers {
        // HTTP/1.1: each watch takes a connection for itself.
        let answer = client.send(Request::get(&path).body(Body::empty())?).await.context("watch")?;
        if !answer.status().is_success() {
            bail!("a watch was answered {}", answer.status());
        }
        tasks.spawn(watch(answer.into_body(), sender.clone()));
    }
    let (mut latencies, mut event_bytes) = (Vec::new(), 0);
    for number in 0..CHANGES {
        let body = load::config_map(&format!("change-{number}"), 200);
        let started = Instant::now();
        load::post(&client, load::CONFIG_MAPS, body).await?;
        let (waited, bytes) = collect(&mut arrivals, watchers, started).await?;
        latencies.push(waited);
        event_bytes = bytes;
    }
    Ok(Seen { latencies, event_bytes })
}

/// The revision of the collection at this moment.
async fn revision(client: &kube::Client) -> anyhow::Result<String> {
    let path = format!("{}?limit=1", load::CONFIG_MAPS);
    let list: serde_json::Value = client.request(Request::get(path).body(Vec::new())?).await?;
    Ok(list["metadata"]["resourceVersion"].as_str().context("a list without a revision")?.to_owned())
}

/// Tells of each line, which is an event.
async fn watch(mut body: Body, arrivals: mpsc::Sender<Arrival>) {
    let mut length = 0;
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        for _ in data.iter().filter(|byte| **byte == b'\n') {
            // Nobody listens any more when everything is measured.
            let _done = arrivals.send((Instant::now(), std::mem::take(&mut length))).await;
        }
    }
}

/// One arrival from each watcher.
async fn collect(
    arrivals: &mut mpsc::Receiver<Arrival>,
    watchers: usize,
    started: Instant,
) -> anyhow::Result<(Vec<Duration>, usize)> {
    let (mut waited, mut bytes) = (Vec::with_capacity(watchers), 0);
    while waited.len() < watchers {
        let next = tokio::time::timeout(PATIENCE, arrivals.recv()).await;
        let (at, length) = next.context("a watcher saw no change")?.context("all watches ended")?;
        waited.push(at.saturating_duration_since(started));
        bytes = length;
    }
    Ok((waited, bytes))
}

/// The same over plain sockets: one task writes the bytes to each.
pub(crate) async fn plain(watchers: usize, bytes: usize) -> anyhow::Result<Vec<Vec<Duration>>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (sender, mut arrivals) = mpsc::channel(watchers);
    let (mut tasks, mut writers) = (JoinSet::new(), Vec::new());
    for _ in 0..watchers {
        let (reader, accepted) = tokio::try_join!(TcpStream::connect(address), listener.accept())?;
        accepted.0.set_nodelay(true)?;
        writers.push(accepted.0);
        tasks.spawn(read(reader, bytes, sender.clone()));
    }
    let block = vec![b'x'; bytes];
    let mut latencies = Vec::new();
    for _ in 0..CHANGES {
        let started = Instant::now();
        for writer in &mut writers {
            writer.write_all(&block).await?;
        }
        latencies.push(collect(&mut arrivals, watchers, started).await?.0);
    }
    Ok(latencies)
}

async fn read(mut stream: TcpStream, bytes: usize, arrivals: mpsc::Sender<Arrival>) {
    let mut buffer = vec![0; bytes];
    while stream.read_exact(&mut buffer).await.is_ok() {
        // Nobody listens any more when everything is measured.
        let _done = arrivals.send((Instant::now(), bytes)).await;
    }
}
