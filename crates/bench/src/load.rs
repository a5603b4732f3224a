//! Load on the API: many clients, each with a connection of its own, that create ConfigMaps as fast as they can.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use http::Request;
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::json;
use tokio::task::JoinSet;

use crate::cluster::Cluster;

/// Where everything is created.
pub(crate) const NAMESPACE: &str = "bench";
/// The collection of it.
pub(crate) const CONFIG_MAPS: &str = "/api/v1/namespaces/bench/configmaps";

/// How creating went.
pub(crate) struct Created {
    /// From the first request to the last answer.
    pub(crate) took: Duration,
    /// How long each request took.
    pub(crate) each: Vec<Duration>,
    /// Bytes of one object as the API server has it.
    pub(crate) object_bytes: usize,
}

/// How long a new namespace may be without its service account, and how often it is asked for.
const ACCOUNT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_millis(10));

/// Makes the namespace; returns when pods can be created in it.
pub(crate) async fn namespace(client: &kube::Client) -> anyhow::Result<()> {
    namespace_of(client, NAMESPACE).await
}

/// The same with a name of the caller's choice.
pub(crate) async fn namespace_of(client: &kube::Client, name: &str) -> anyhow::Result<()> {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    post(client, "/api/v1/namespaces", body.to_string().into_bytes()).await?;
    let path = format!("/api/v1/namespaces/{name}/serviceaccounts/default");
    let there = async {
        while get(client, &path).await.is_err() {
            tokio::time::sleep(ACCOUNT.1).await;
        }
    };
    tokio::time::timeout(ACCOUNT.0, there).await.context("a new namespace gets no service account")
}

/// Creates `clients * each` ConfigMaps that hold `payload` bytes each.
pub(crate) async fn create(cluster: &Cluster, clients: usize, each: usize, payload: usize) -> anyhow::Result<Created> {
    let mut connected = Vec::new();
    for _ in 0..clients {
        let client = cluster.client().await?;
        // Connects, so that no handshake is measured.
        get(&client, "/readyz").await?;
        connected.push(client);
    }
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for (number, client) in connected.into_iter().enumerate() {
        let names = (0..each).map(move |at| format!("load-{number}-{at}"));
        tasks.spawn(create_all(client, names, payload));
    }
    let (mut times, mut object_bytes) = (Vec::new(), 0);
    while let Some(done) = tasks.join_next().await {
        let (some, bytes) = done??;
        times.extend(some);
        object_bytes = bytes;
    }
    Ok(Created { took: started.elapsed(), each: times, object_bytes })
}

async fn create_all(
    client: kube::Client,
    names: impl Iterator<Item = String> + Send,
    payload: usize,
) -> anyhow::Result<(Vec<Duration>, usize)> {
    let (mut times, mut bytes) = (Vec::new(), 0);
    for name in names {
        let body = config_map(&name, payload);
        let started = Instant::now();
        bytes = post(&client, CONFIG_MAPS, body).await?;
        times.push(started.elapsed());
    }
    Ok((times, bytes))
}

/// A ConfigMap, as a client writes it.
pub(crate) fn config_map(name: &str, payload: usize) -> Vec<u8> {
    let value = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": "bench"}},
        "data": {"text": "x".repeat(payload)},
    });
    value.to_string().into_bytes()
}

/// Creates an object; the bytes of the answer.
pub(crate) async fn post(client: &kube::Client, path: &str, body: Vec<u8>) -> anyhow::Result<usize> {
    let request = Request::post(path).header("content-type", "application/json").body(Body::from(body))?;
    send(client, request).await
}

/// Reads a path to its end; the bytes of the answer.
pub(crate) async fn get(client: &kube::Client, path: &str) -> anyhow::Result<usize> {
    get_as(client, path, "application/json").await
}

/// Reads a path; the answer as JSON.
pub(crate) async fn json(client: &kube::Client, path: &str) -> anyhow::Result<serde_json::Value> {
    let request = Request::get(path).header("accept", "application/json").body(Vec::new())?;
    client.request(request).await.with_context(|| format!("GET {path}"))
}

/// As [`get`], in a form of the caller's choice.
pub(crate) async fn get_as(client: &kube::Client, path: &str, accept: &str) -> anyhow::Result<usize> {
    send(client, Request::get(path).header("accept", accept).body(Body::empty())?).await
}

async fn send(client: &kube::Client, request: Request<Body>) -> anyhow::Result<usize> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let answer = client.send(request).await.with_context(|| format!("{method} {uri}"))?;
    let status = answer.status();
    let mut body = answer.into_body();
    let (mut bytes, mut start) = (0, Vec::new());
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.with_context(|| format!("{method} {uri}"))?.into_data() {
            if !status.is_success() {
                start.extend_from_slice(&data);
            }
            bytes += data.len();
        }
    }
    if !status.is_success() {
        bail!("{method} {uri} was answered {status}: {}", String::from_utf8_lossy(&start));
    }
    Ok(bytes)
}
