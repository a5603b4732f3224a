//! `pod`: from the request to create a pod to Running on a watch, beside the same sandbox and container through bare
//! CRI calls on the same containerd.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use cri::Runtime;
use cri::v1::{
    ContainerConfig, ContainerMetadata, DnsConfig, ImageSpec, LinuxPodSandboxConfig, PodSandboxConfig,
    PodSandboxMetadata,
};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, PostParams};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt as _};
use sandbox::images::{WEB_VERSIONS, web_reference};
use sandbox::node::Node;
use serde_json::json;
use tokio::sync::mpsc;

use crate::cluster::Cluster;
use crate::load::{self, NAMESPACE};
use crate::report::{Amount, Bar, Figure, Peer, Report};
use crate::samples::{median, quantile};

/// Measured pods and as many bare ones, in turn.
const ROUNDS: usize = 15;
/// Of each, before those that count.
const WARM_UP: usize = 2;
const PATIENCE: Duration = Duration::from_secs(60);

const BAR: f64 = 1.5;

pub(crate) async fn measure(shipmate: &Path, report: &Report) -> anyhow::Result<()> {
    let cluster = Cluster::new(shipmate, "1")?;
    cluster.start()?;
    let node = cluster.node()?;
    let client = cluster.client().await?;
    load::namespace(&client).await?;
    let mut pods = Pods::watch(client).await?;
    let runtime = Runtime::new(node.dir().cri_socket())?;
    let (mut times, mut bare) = (Vec::new(), Vec::new());
    for round in 0..WARM_UP + ROUNDS {
        let pod = pods.run(&format!("pod-{round}")).await?;
        let without = bare_pod(&runtime, &node, round).await?;
        if round >= WARM_UP {
            times.push(pod);
            bare.push(without);
        }
    }
    report.figure(&Figure {
        what: "pod: created to Running, median",
        amount: Amount::Time(median(&times)),
        peer: Some(Peer { what: "bare CRI calls", amount: Amount::Time(median(&bare)) }),
        bar: Some(Bar::Times(BAR)),
    });
    report.figure(&Figure {
        what: "pod: created to Running, slowest",
        amount: Amount::Time(quantile(&times, 1.0)),
        peer: Some(Peer { what: "bare CRI calls", amount: Amount::Time(quantile(&bare, 1.0)) }),
        bar: None,
    });
    Ok(())
}

/// What the watch shows of a pod.
enum Seen {
    Running(String, Instant),
    Gone(String),
}

/// Pods of a namespace, created and watched.
struct Pods {
    api: Api<Pod>,
    seen: mpsc::Receiver<Seen>,
}

impl Pods {
    async fn watch(client: Client) -> anyhow::Result<Self> {
        let api: Api<Pod> = Api::namespaced(client, NAMESPACE);
        let (sender, seen) = mpsc::channel(64);
        let mut events = watcher(api.clone(), watcher::Config::default()).boxed();
        // The watch must be there before the first pod is.
        while !matches!(events.try_next().await?.context("the watch of pods ended")?, Event::InitDone) {}
        tokio::spawn(async move {
            while let Some(Ok(event)) = events.next().await {
                let seen = match event {
                    Event::Apply(pod) if running(&pod) => Seen::Running(pod.name_any(), Instant::now()),
                    Event::Delete(pod) => Seen::Gone(pod.name_any()),
                    _ => continue,
                };
                if sender.send(seen).await.is_err() {
                    return;
                }
            }
        });
        Ok(Self { api, seen })
    }

    /// Creates a pod and deletes it; how long it took to be Running.
    async fn run(&mut self, name: &str) -> anyhow::Result<Duration> {
        let pod: Pod = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "containers": [{"name": "web", "image": image(), "imagePullPolicy": "IfNotPresent"}],
            },
        }))?;
        let started = Instant::now();
        self.api.create(&PostParams::default(), &pod).await?;
        let running = self.wait(|seen| match seen {
            Seen::Running(found, at) if found == name => Some(at),
            _ => None,
        });
        let running = running.await.context("the pod did not become Running")?;
        self.api.delete(name, &DeleteParams::default().grace_period(0)).await?;
        let gone = self.wait(|seen| matches!(seen, Seen::Gone(found) if found == name).then_some(()));
        gone.await.context("the pod did not go")?;
        Ok(running.duration_since(started))
    }

    async fn wait<T>(&mut self, wanted: impl Fn(Seen) -> Option<T>) -> anyhow::Result<T> {
        let found = async {
            loop {
                let seen = self.seen.recv().await.context("the watch of pods ended")?;
                if let Some(found) = wanted(seen) {
                    return Ok(found);
                }
            }
        };
        tokio::time::timeout(PATIENCE, found).await?
    }
}

fn running(pod: &Pod) -> bool {
    pod.status.as_ref().is_some_and(|status| status.phase.as_deref() == Some("Running"))
}

/// The sample application, which every node has.
fn image() -> String {
    web_reference(WEB_VERSIONS[0])
}

/// The same through CRI: sandbox, container, start. Removed afterwards.
async fn bare_pod(runtime: &Runtime, node: &Node, round: usize) -> anyhow::Result<Duration> {
    let name = format!("bare-{round}");
    let logs = format!("/var/log/pods/{name}");
    let sandbox_config = PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: name.clone(),
            uid: name.clone(),
            namespace: NAMESPACE.to_owned(),
            attempt: 0,
        }),
        hostname: name.clone(),
        log_directory: logs.clone(),
        dns_config: Some(DnsConfig { servers: vec!["10.96.0.10".to_owned()], ..DnsConfig::default() }),
        linux: Some(LinuxPodSandboxConfig {
            cgroup_parent: format!("{}/{name}", node.cgroup()),
            ..LinuxPodSandboxConfig::default()
        }),
        ..PodSandboxConfig::default()
    };
    let config = ContainerConfig {
        metadata: Some(ContainerMetadata { name: "web".to_owned(), attempt: 0 }),
        image: Some(ImageSpec { image: image(), ..ImageSpec::default() }),
        log_path: "web/0.log".to_owned(),
        ..ContainerConfig::default()
    };
    std::fs::create_dir_all(node.dir().private(&logs).join("web"))?;
    let started = Instant::now();
    let sandbox = runtime.run_pod_sandbox(sandbox_config.clone(), "").await?;
    let container = runtime.create_container(&sandbox, config, sandbox_config).await?;
    runtime.start_container(&container).await?;
    let took = started.elapsed();
    runtime.stop_container(&container, Duration::ZERO).await?;
    runtime.stop_pod_sandbox(&sandbox).await?;
    runtime.remove_pod_sandbox(&sandbox).await?;
    Ok(took)
}
