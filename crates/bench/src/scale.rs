//! `scale`: 5,000 pods of Deployments on 100 simulated nodes.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::cluster::Cluster;
use crate::load::{self, NAMESPACE};
use crate::report::{Amount, Bar, Figure, Peer, Report};
use crate::resources::{core_part, memory, processor};
use crate::samples::median;

const DEPLOYMENTS: usize = 50;
const REPLICAS: usize = 100;
const PATIENCE: Duration = Duration::from_secs(600);
const LISTS: usize = 5;
/// The cluster is left alone for so long before it is said to be idle, and then watched for as long.
const IDLE: Duration = Duration::from_secs(20);

const BAR_READY: Duration = Duration::from_secs(30);
const BAR_LIST: Duration = Duration::from_secs(1);
const BAR_BYTES: u64 = 400_000_000;
const BAR_DOCTOR: Duration = Duration::from_secs(5);
const BAR_DOCTOR_BYTES: u64 = 300_000_000;

pub(crate) async fn measure(shipmate: &Path, report: &Report) -> anyhow::Result<()> {
    let cluster = Cluster::new(shipmate, "simulated:100")?;
    cluster.start()?;
    let client = cluster.client().await?;
    let server = cluster.processes()?.server;
    load::namespace(&client).await?;
    let before = processor(server)?;
    let started = Instant::now();
    for number in 0..DEPLOYMENTS {
        let body = deployment(&format!("web-{number}")).to_string().into_bytes();
        load::post(&client, &format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments"), body).await?;
    }
    let waiting = tokio::time::timeout(PATIENCE, ready(&client, DEPLOYMENTS * REPLICAS));
    waiting.await.context("the pods did not become Ready")??;
    let took = started.elapsed();
    report.figure(&Figure {
        what: "scale: 5,000 pods scheduled and Ready, 100 nodes",
        amount: Amount::Time(took),
        peer: Some(Peer {
            what: "processor time of the server meanwhile",
            amount: Amount::Time(processor(server)?.saturating_sub(before)),
        }),
        bar: Some(Bar::Under(Amount::Time(BAR_READY))),
    });
    let now = memory(server)?;
    bytes(report, "scale: server, resident, most so far", now.peak, Some(BAR_BYTES));
    bytes(report, "scale: server, resident", now.resident, None);
    lists(&cluster, &client, report).await?;
    let (took, peak) = cluster.doctor()?;
    report.figure(&Figure {
        what: "scale: shipmate doctor, 5,000 pods on 100 nodes",
        amount: Amount::Time(took),
        peer: None,
        bar: Some(Bar::Under(Amount::Time(BAR_DOCTOR))),
    });
    bytes(report, "scale: shipmate doctor, resident at most", peak, Some(BAR_DOCTOR_BYTES));
    tokio::time::sleep(IDLE).await;
    let before = processor(server)?;
    tokio::time::sleep(IDLE).await;
    let part = core_part(before, processor(server)?, IDLE);
    plain(report, "scale: server with 5,000 pods at rest, processor", Amount::Core(part));
    bytes(report, "scale: server with 5,000 pods at rest, resident", memory(server)?.resident, Some(BAR_BYTES));
    bytes(report, "scale: server, resident, most in all", memory(server)?.peak, Some(BAR_BYTES));
    Ok(())
}

/// `kubectl get pods -A`, beside the same request without kubectl.
async fn lists(cluster: &Cluster, client: &kube::Client, report: &Report) -> anyhow::Result<()> {
    let (mut times, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..LISTS {
        let (took, text) = cluster.kubectl(&["get", "pods", "-A", "--no-headers"])?;
        if text.lines().count() != DEPLOYMENTS * REPLICAS {
            bail!("kubectl printed {} pods", text.lines().count());
        }
        times.push(took);
        let started = Instant::now();
        load::get_as(client, "/api/v1/pods", "application/json;as=Table;v=v1;g=meta.k8s.io").await?;
        bare.push(started.elapsed());
    }
    report.figure(&Figure {
        what: "scale: kubectl get pods -A",
        amount: Amount::Time(median(&times)),
        peer: Some(Peer { what: "its table without kubectl", amount: Amount::Time(median(&bare)) }),
        bar: Some(Bar::Under(Amount::Time(BAR_LIST))),
    });
    Ok(())
}

fn deployment(name: &str) -> serde_json::Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": REPLICAS,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{
                    "name": "web", "image": "shipmate.local/web:1.0",
                    "ports": [{"containerPort": 8080}],
                    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
                }]},
            },
        },
    })
}

/// Returns when the Deployments together say that so many replicas are Ready.
async fn ready(client: &kube::Client, wanted: usize) -> anyhow::Result<()> {
    let api = Api::<Deployment>::namespaced(client.clone(), NAMESPACE);
    let mut changes = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff().applied_objects());
    let mut ready: HashMap<String, usize> = HashMap::new();
    while let Some(change) = changes.next().await {
        let Ok(deployment) = change else { continue }; // A lost watch is taken up again by the stream itself.
        let replicas = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default();
        ready.insert(deployment.name_any(), usize::try_from(replicas).unwrap_or_default());
        if ready.values().sum::<usize>() >= wanted {
            return Ok(());
        }
    }
    bail!("the watch of Deployments ended")
}

fn bytes(report: &Report, what: &str, bytes: u64, bar: Option<u64>) {
    let bar = bar.map(|bar| Bar::Under(Amount::Bytes(bar)));
    report.figure(&Figure { what, amount: Amount::Bytes(bytes), peer: None, bar });
}

fn plain(report: &Report, what: &str, amount: Amount) {
    report.figure(&Figure { what, amount, peer: None, bar: None });
}
