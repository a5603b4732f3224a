//! `/stats/summary`: how much processor and memory the node and its containers use.
//!
//! The rate of processor use is taken between two readings at least a second apart; the first reading of a container
//! gives its average since it started.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cri::Runtime;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::pods::Pods;

/// Readings closer than this are too coarse for a rate.
const APART_NANOS: i128 = 1_000_000_000;

/// A reading of consumed processor time.
#[derive(Clone, Copy)]
struct Reading {
    at: Timestamp,
    used_nanos: u64,
    rate: u64,
}

pub(super) struct Stats {
    node: String,
    runtime: Runtime,
    pods: Arc<dyn Pods>,
    readings: Mutex<HashMap<String, Reading>>,
}

impl Stats {
    pub(super) fn new(node: &str, runtime: Runtime, pods: Arc<dyn Pods>) -> Self {
        Self { node: node.to_owned(), runtime, pods, readings: Mutex::default() }
    }

    /// The summary, in the form of the kubelet's `stats/v1alpha1` API as far as metrics need it.
    pub(super) async fn summary(&self) -> Result<Value, cri::Error> {
        let containers = self.runtime.list_container_stats(cri::v1::ContainerStatsFilter::default()).await?;
        let now = Timestamp::now();
        let mut by_pod: HashMap<String, Vec<Value>> = HashMap::new();
        let mut seen = vec![self.node.clone()];
        for stats in containers {
            let Some(attributes) = stats.attributes else { continue };
            let used =
                stats.cpu.as_ref().and_then(|cpu| cpu.usage_core_nano_seconds.as_ref()).map_or(0, |used| used.value);
            let memory =
                stats.memory.as_ref().and_then(|memory| memory.working_set_bytes.as_ref()).map_or(0, |used| used.value);
            let uid = attributes.labels.get("io.kubernetes.pod.uid").cloned().unwrap_or_default();
            let name = attributes.labels.get("io.kubernetes.container.name").cloned().unwrap_or_default();
            let rate = self.rate(&attributes.id, used, now);
            seen.push(attributes.id);
            by_pod.entry(uid).or_default().push(json!({
                "name": name,
                "cpu": {"time": now.to_string(), "usageNanoCores": rate, "usageCoreNanoSeconds": used},
                "memory": {"time": now.to_string(), "workingSetBytes": memory},
            }));
        }
        let pods: Vec<Value> = self
            .pods
            .pods()
            .into_iter()
            .filter_map(|pod| {
                let containers = by_pod.remove(&pod.uid)?;
                let pod = json!({"name": pod.name, "namespace": pod.namespace, "uid": pod.uid});
                Some(json!({"podRef": pod, "containers": containers}))
            })
            .collect();
        let node = self.node_usage(now);
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        readings.retain(|id, _| seen.contains(id));
        Ok(json!({"node": node, "pods": pods}))
    }

    fn node_usage(&self, now: Timestamp) -> Value {
        let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
        let used = processor_nanos(&stat);
        let memory = memory_used(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default());
        let rate = self.rate(&self.node, used, now);
        json!({
            "nodeName": self.node,
            "cpu": {"time": now.to_string(), "usageNanoCores": rate, "usageCoreNanoSeconds": used},
            "memory": {"time": now.to_string(), "workingSetBytes": memory},
        })
    }

    /// Billionths of a core in use.
    fn rate(&self, id: &str, used_nanos: u64, at: Timestamp) -> u64 {
        let mut readings = self.readings.lock().unwrap_or_else(PoisonError::into_inner);
        match readings.get(id).copied() {
            Some(before) => {
                let passed = at.as_nanosecond() - before.at.as_nanosecond();
                if passed < APART_NANOS {
                    return before.rate;
                }
                let used = u128::from(used_nanos.saturating_sub(before.used_nanos));
                let rate = used * 1_000_000_000 / passed.unsigned_abs();
                let rate = u64::try_from(rate).unwrap_or(u64::MAX);
                readings.insert(id.to_owned(), Reading { at, used_nanos, rate });
                rate
            }
            None => {
                readings.insert(id.to_owned(), Reading { at, used_nanos, rate: 0 });
                0
            }
        }
    }
}

/// Processor time that was not idle, from `/proc/stat` (proc(5)): its unit is a hundredth of a second.
fn processor_nanos(stat: &str) -> u64 {
    let Some(line) = stat.lines().next().and_then(|line| line.strip_prefix("cpu ")) else { return 0 };
    let fields: Vec<u64> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal: the fourth and fifth are idle.
    let busy: u64 =
        fields.iter().take(8).enumerate().filter(|(index, _)| !matches!(index, 3 | 4)).map(|(_, ticks)| ticks).sum();
    busy * 10_000_000
}

/// Bytes of memory that are not available for something else.
fn memory_used(meminfo: &str) -> u64 {
    let kib = |name: &str| -> Option<u64> {
        meminfo.lines().find_map(|line| line.strip_prefix(name))?.trim().strip_suffix(" kB")?.trim().parse().ok()
    };
    let used = kib("MemTotal:").zip(kib("MemAvailable:")).map(|(total, available)| total.saturating_sub(available));
    used.unwrap_or_default() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_figures_are_read() {
        assert_eq!(processor_nanos("cpu  100 0 50 900 10 1 2 3 0 0\ncpu0 1 2\n"), 156 * 10_000_000);
        assert_eq!(processor_nanos(""), 0);
        assert_eq!(memory_used("MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:   400 kB\n"), 600 * 1024);
        assert_eq!(memory_used("nonsense"), 0);
    }
}
