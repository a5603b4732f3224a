//! What a kubelet's `/stats/summary` says of processor and memory.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use api::{Status, View};
use futures::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};

use crate::{Server, proxy};

/// When nodes that have not answered are left out. A kubelet may take a second to measure.
const DEADLINE: Duration = Duration::from_secs(5);
/// Kubelets asked at the same time.
const PARALLEL: usize = 64;
/// Most bytes of an answer.
const BYTES: usize = 16 << 20;
/// Time over which a kubelet that does not say so is taken to have measured.
const WINDOW_NANOS: u64 = 10_000_000_000;

/// The summary of one node.
#[derive(Deserialize)]
pub(super) struct Summary {
    pub(super) node: Usage,
    #[serde(default)]
    pub(super) pods: Vec<PodUsage>,
}

/// Usage of the containers of a pod.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PodUsage {
    pub(super) pod_ref: PodRef,
    #[serde(default)]
    pub(super) containers: Vec<ContainerUsage>,
}

/// Which pod.
#[derive(Deserialize)]
pub(super) struct PodRef {
    pub(super) uid: String,
}

/// Usage of a container.
#[derive(Deserialize)]
pub(super) struct ContainerUsage {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) usage: Usage,
}

/// Processor and memory, either absent when it was not measured.
#[derive(Deserialize)]
pub(super) struct Usage {
    cpu: Option<Processor>,
    memory: Option<Memory>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Processor {
    time: Timestamp,
    usage_nano_cores: Option<u64>,
    usage_window_nanos: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Memory {
    working_set_bytes: Option<u64>,
}

/// A complete measurement.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub(super) nano_cores: u64,
    pub(super) bytes: u64,
    pub(super) time: Timestamp,
    /// Time over which the processor's use is the average.
    pub(super) window_nanos: u64,
}

impl Usage {
    /// The measurement, when it is complete.
    pub(super) fn reading(&self) -> Option<Reading> {
        let cpu = self.cpu.as_ref()?;
        Some(Reading {
            nano_cores: cpu.usage_nano_cores?,
            bytes: self.memory.as_ref()?.working_set_bytes?,
            time: cpu.time,
            window_nanos: cpu.usage_window_nanos.unwrap_or(WINDOW_NANOS),
        })
    }
}

/// The summaries of these nodes, of those that answer in time.
pub(super) async fn ask(server: &Arc<Server>, view: &View, nodes: BTreeSet<&str>) -> HashMap<String, Summary> {
    let deadline = Instant::now() + DEADLINE;
    let asked: Vec<_> =
        nodes.into_iter().map(|node| of_node(server, view, node.to_owned(), deadline).boxed()).collect();
    stream::iter(asked).buffer_unordered(PARALLEL).filter_map(std::future::ready).collect().await
}

async fn of_node(server: &Arc<Server>, view: &View, node: String, deadline: Instant) -> Option<(String, Summary)> {
    let answer = timeout_at(deadline, proxy::ask_kubelet(server, view, &node, "/stats/summary", BYTES)).await;
    let answer = answer.unwrap_or_else(|_| Err(Status::internal("its kubelet did not answer in time")));
    let summary = answer.and_then(|bytes| serde_json::from_slice(&bytes).map_err(Status::internal));
    match summary {
        Ok(summary) => Some((node, summary)),
        Err(why) => {
            tracing::debug!(node, %why, "a node is left out of the metrics");
            None
        }
    }
}
