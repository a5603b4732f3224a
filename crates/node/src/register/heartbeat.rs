//! Says every ten seconds that the node lives, and what has changed.
//!
//! The lease is the sign of life; the status is sent when it differs, or every five minutes.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Node as NodeObject, NodeCondition, NodeStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use nix::sys::statvfs::statvfs;
use serde_json::json;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::client::bounded;
use crate::event::{About, Level};
use crate::node::Node;
use crate::register::machine::meminfo;
use crate::register::object::{self, Measured};

/// Kubernetes' own rhythm of leases …
const PERIOD: Duration = Duration::from_secs(10);
/// … and how long one is good for, in seconds.
const LEASE_SECONDS: i32 = 40;
/// After a failure, and before the node is ready for the first time.
const SOON: Duration = Duration::from_millis(250);
/// A status that has not changed is sent again after this.
const RESEND: SignedDuration = SignedDuration::from_mins(5);
/// Images are listed again after this.
const LIST_IMAGES: SignedDuration = SignedDuration::from_secs(60);
/// With less than this many bytes free a node has disk pressure. Not a share, as on a disk that is the node's own: see
/// [`crate::image`].
const DISK_PRESSURE: u64 = 512 << 20;
/// With less than this many KiB of memory available a node has memory pressure: the kubelet's default.
const MEMORY_PRESSURE: u64 = 100 << 10;
const LEASE_NAMESPACE: &str = "kube-node-lease";

/// Registers the node and keeps it alive until `stop`.
pub(crate) async fn run(node: Arc<Node>, stop: CancellationToken) {
    let mut heart = Heart::new(node);
    loop {
        let wait = match bounded(heart.beat()).await {
            Ok(true) => PERIOD,
            Ok(false) => SOON,
            Err(err) => {
                warn!(error = %err, "the API server did not take the node's heartbeat; trying again");
                4 * SOON
            }
        };
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + wait, wait);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::select! {
            _ = tick.tick() => {}
            () = stop.cancelled() => return,
        }
    }
}

struct Heart {
    node: Arc<Node>,
    /// The object's uid, once it is registered.
    uid: Option<String>,
    sent: Option<(NodeStatus, Timestamp)>,
    measured: Measured,
    images_at: Option<Timestamp>,
}

impl Heart {
    fn new(node: Arc<Node>) -> Self {
        Self { node, uid: None, sent: None, measured: Measured::default(), images_at: None }
    }

    /// One beat; whether the node is ready.
    async fn beat(&mut self) -> Result<bool, kube::Error> {
        let now = Timestamp::now();
        self.measure(now).await;
        if self.uid.is_none() {
            self.register().await?;
        }
        self.send_status(now).await?;
        self.renew(now).await?;
        Ok(self.measured.not_ready.is_none())
    }

    fn nodes(&self) -> Api<NodeObject> {
        Api::all(self.node.client.clone())
    }

    async fn register(&mut self) -> Result<(), kube::Error> {
        let config = &self.node.config;
        let object = object::node(config, &self.node.machine);
        let made = self.nodes().create(&PostParams::default(), &object).await;
        let found = match made {
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let labels = json!({ "metadata": { "labels": object::labels(config, &self.node.machine) } });
                self.nodes().patch(&config.node_name, &PatchParams::default(), &Patch::Merge(labels)).await?
            }
            other => other?,
        };
        let conditions = found.status.and_then(|status| status.conditions).unwrap_or_default();
        let old = NodeStatus { conditions: Some(conditions), ..NodeStatus::default() };
        self.sent = Some((old, Timestamp::UNIX_EPOCH));
        self.uid = found.metadata.uid;
        info!(node = config.node_name, "node registered");
        self.node.events.record(&About::node(&config.node_name), Level::Normal, "Starting", "Starting kubelet.");
        Ok(())
    }

    async fn send_status(&mut self, now: Timestamp) -> Result<(), kube::Error> {
        let old = self.sent.as_ref().and_then(|(status, _)| status.conditions.as_deref()).unwrap_or_default();
        let was_ready = old_ready(old);
        let status = object::status(&self.node.config, &self.node.machine, &self.measured, old, now);
        let due = self.sent.as_ref().is_none_or(|(_, at)| now.duration_since(*at) >= RESEND);
        let changed = self.sent.as_ref().is_none_or(|(sent, _)| without_beats(sent) != without_beats(&status));
        if !due && !changed {
            return Ok(());
        }
        let name = &self.node.config.node_name;
        // Conditions and addresses are merged by type: those of others stay.
        let patch = Patch::Strategic(json!({ "status": status }));
        let sent = self.nodes().patch_status(name, &PatchParams::default(), &patch).await;
        if let Err(kube::Error::Api(problem)) = &sent
            && problem.code == 404
        {
            // Who deletes a node wants it gone: as with any kubelet, it comes back with the next start.
            warn!(node = name, "the node's object was deleted; start the node again to register it");
            self.sent = Some((status, now));
            return Ok(());
        }
        sent?;
        self.tell_readiness(was_ready, &status);
        self.sent = Some((status, now));
        Ok(())
    }

    fn tell_readiness(&self, was: Option<bool>, status: &NodeStatus) {
        let ready = old_ready(status.conditions.as_deref().unwrap_or_default());
        if was == ready {
            return;
        }
        let name = &self.node.config.node_name;
        let reason = if ready == Some(true) { "NodeReady" } else { "NodeNotReady" };
        let message = format!("Node {name} status is now: {reason}");
        self.node.events.record(&About::node(name), Level::Normal, reason, &message);
        info!(node = name, reason, "readiness changed");
    }

    async fn renew(&self, now: Timestamp) -> Result<(), kube::Error> {
        let name = &self.node.config.node_name;
        let api: Api<Lease> = Api::namespaced(self.node.client.clone(), LEASE_NAMESPACE);
        let patch = Patch::Merge(json!({ "spec": { "renewTime": MicroTime(now) } }));
        match api.patch(name, &PatchParams::default(), &patch).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            other => return other.map(drop),
        }
        let owner = self.uid.clone().map(|uid| OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Node".to_owned(),
            name: name.clone(),
            uid,
            ..OwnerReference::default()
        });
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                owner_references: owner.map(|owner| vec![owner]),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(name.clone()),
                lease_duration_seconds: Some(LEASE_SECONDS),
                renew_time: Some(MicroTime(now)),
                ..LeaseSpec::default()
            }),
        };
        api.create(&PostParams::default(), &lease).await.map(drop)
    }

    /// Asks the runtime and the machine how they are.
    async fn measure(&mut self, now: Timestamp) {
        let runtime = &self.node.runtime;
        self.measured.not_ready = match runtime.status().await {
            Ok(answer) => not_ready(answer.status.unwrap_or_default()),
            Err(err) => Some(format!("container runtime is down: {}", err.event_text())),
        };
        if self.measured.runtime_version.is_empty()
            && let Ok(version) = runtime.version().await
        {
            self.measured.runtime_version = format!("{}://{}", version.runtime_name, version.runtime_version);
        }
        let stale = self.images_at.is_none_or(|at| now.duration_since(at) >= LIST_IMAGES);
        if stale && let Ok(images) = runtime.list_images().await {
            let names = |image: cri::v1::Image| {
                let names: Vec<_> = image.repo_digests.into_iter().chain(image.repo_tags).collect();
                (names, image.size)
            };
            self.measured.images = images.into_iter().map(names).filter(|(names, _)| !names.is_empty()).collect();
            self.images_at = Some(now);
        }
        self.measured.disk_pressure = free_bytes(&self.node.config.state_dir).is_some_and(|free| free < DISK_PRESSURE);
        self.measured.memory_pressure = meminfo("MemAvailable") < MEMORY_PRESSURE;
    }
}

/// Bytes of a file system that are free.
fn free_bytes(path: &std::path::Path) -> Option<u64> {
    let stat = statvfs(path).ok()?;
    Some(stat.blocks_available() * stat.fragment_size())
}

/// Why the runtime cannot run pods, in Kubernetes' words.
fn not_ready(status: cri::v1::RuntimeStatus) -> Option<String> {
    let problem = |kind: &str, words: &str| {
        let condition = status.conditions.iter().find(|condition| condition.r#type == kind)?;
        (!condition.status).then(|| {
            let cri::v1::RuntimeCondition { reason, message, .. } = condition;
            format!("{words} not ready: {kind}=false reason:{reason} message:{message}")
        })
    };
    problem("RuntimeReady", "container runtime").or_else(|| problem("NetworkReady", "container runtime network"))
}

fn old_ready(conditions: &[NodeCondition]) -> Option<bool> {
    conditions.iter().find(|condition| condition.type_ == "Ready").map(|condition| condition.status == "True")
}

/// A status without the times of its heartbeats.
fn without_beats(status: &NodeStatus) -> NodeStatus {
    let mut status = status.clone();
    for condition in status.conditions.iter_mut().flatten() {
        condition.last_heartbeat_time = None;
    }
    status
}
