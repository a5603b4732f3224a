//! `/stats/summary`: how much processor and memory the node and its containers use.
//!
//! The rate of processor use is taken between two readings at least a second apart and at most a minute: when the last
//! reading is older, asking takes a second. A container that has come since the last reading has its average since it
//! was made. Beside what the kubelet's form has, `usageWindowNanos` says over which time a rate is the average.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use cri::Runtime;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::pods::Pods;

/// Readings closer than this are too coarse for a rate.
const APART: SignedDuration = SignedDuration::from_secs(1);
/// A reading older than this says too little about now.
const STALE: SignedDuration = SignedDuration::from_secs(60);
/// Time between the two readings that are made when there is no earlier one.
const PAUSE: Duration = APART.unsigned_abs();

pub(super) struct Stats {
    node: String,
    runtime: Runtime,
    pods: Arc<dyn Pods>,
    /// Held while measuring: who asks meanwhile gets the rates of that measurement.
    rates: Mutex<Rates>,
}

impl Stats {
    pub(super) fn new(node: &str, runtime: Runtime, pods: Arc<dyn Pods>) -> Self {
        Self { node: node.to_owned(), runtime, pods, rates: Mutex::default() }
    }

    /// The summary, in the form of the kubelet's `stats/v1alpha1` API as far as metrics need it.
    pub(super) async fn summary(&self) -> Result<Value, cri::Error> {
        let mut rates = self.rates.lock().await;
        if !rates.are_recent(&self.node, Timestamp::now()) {
            rates.start(self.containers().await?.iter().map(|one| (one.id.clone(), one.reading)));
            rates.start([(self.node.clone(), node_reading())]);
            sleep(PAUSE).await;
        }
        let containers = self.containers().await?;
        let created = self.created(&containers, &rates).await?;
        let mut by_pod: HashMap<String, Vec<Value>> = HashMap::new();
        for one in &containers {
            let rate = rates.rate(&one.id, one.reading, created.get(&one.id).copied());
            let mut usage = usage(rate, one.reading, one.memory);
            usage["name"] = json!(one.name);
            by_pod.entry(one.pod.clone()).or_default().push(usage);
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
        let reading = node_reading();
        let memory = memory_used(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default());
        let mut node = usage(rates.rate(&self.node, reading, None), reading, memory);
        node["nodeName"] = json!(self.node);
        let seen: HashSet<&str> = containers.iter().map(|one| one.id.as_str()).chain([self.node.as_str()]).collect();
        rates.keep(&seen);
        Ok(json!({"node": node, "pods": pods}))
    }

    /// What every container has used so far.
    async fn containers(&self) -> Result<Vec<Measured>, cri::Error> {
        let all = self.runtime.list_container_stats(cri::v1::ContainerStatsFilter::default()).await?;
        let now = Timestamp::now();
        Ok(all.into_iter().filter_map(|stats| Measured::of(stats, now)).collect())
    }

    /// When containers were made of which there is no reading yet.
    async fn created(&self, containers: &[Measured], rates: &Rates) -> Result<HashMap<String, Timestamp>, cri::Error> {
        if containers.iter().all(|one| rates.knows(&one.id)) {
            return Ok(HashMap::new());
        }
        let all = self.runtime.list_containers(cri::v1::ContainerFilter::default()).await?;
        let created = |nanos: i64| Timestamp::from_nanosecond(nanos.into()).ok();
        Ok(all.into_iter().filter_map(|one| Some((one.id, created(one.created_at)?))).collect())
    }
}

/// What one container has used.
struct Measured {
    id: String,
    pod: String,
    name: String,
    memory: u64,
    reading: Reading,
}

impl Measured {
    fn of(stats: cri::v1::ContainerStats, now: Timestamp) -> Option<Self> {
        let attributes = stats.attributes?;
        let label = |name: &str| attributes.labels.get(name).cloned().unwrap_or_default();
        let cpu = stats.cpu?;
        let at = Timestamp::from_nanosecond(cpu.timestamp.into()).ok().filter(|_| cpu.timestamp > 0).unwrap_or(now);
        let memory = stats.memory.and_then(|memory| memory.working_set_bytes).map_or(0, |used| used.value);
        Some(Self {
            pod: label("io.kubernetes.pod.uid"),
            name: label("io.kubernetes.container.name"),
            memory,
            reading: Reading { at, used_nanos: cpu.usage_core_nano_seconds?.value },
            id: attributes.id,
        })
    }
}

/// Processor time consumed up to some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading {
    at: Timestamp,
    used_nanos: u64,
}

/// Processor use, as the average over the time before a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rate {
    /// Billionths of a core.
    nano_cores: u64,
    window: SignedDuration,
}

impl Rate {
    /// The rate from one reading to a later one; `None` when no time has passed.
    fn between(before: Reading, after: Reading) -> Option<Self> {
        let window = after.at.duration_since(before.at);
        let nanos = u128::try_from(window.as_nanos()).ok().filter(|nanos| *nanos > 0)?;
        let used = u128::from(after.used_nanos.saturating_sub(before.used_nanos));
        Some(Self { nano_cores: u64::try_from(used * 1_000_000_000 / nanos).unwrap_or(u64::MAX), window })
    }
}

/// The last reading of each container and of the node, with the rate up to it.
#[derive(Default)]
struct Rates(HashMap<String, (Reading, Option<Rate>)>);

impl Rates {
    fn knows(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// Whether the last reading of `id` is new enough.
    fn are_recent(&self, id: &str, now: Timestamp) -> bool {
        self.0.get(id).is_some_and(|(reading, _)| now.duration_since(reading.at) < STALE)
    }

    /// Takes first readings, whatever was read before.
    fn start(&mut self, readings: impl IntoIterator<Item = (String, Reading)>) {
        self.0.extend(readings.into_iter().map(|(id, reading)| (id, (reading, None))));
    }

    /// The rate up to a reading, or up to the last one when that is not long ago. What was never read counts from
    /// when it was made.
    fn rate(&mut self, id: &str, reading: Reading, made: Option<Timestamp>) -> Option<Rate> {
        let before = match self.0.get(id) {
            Some((last, Some(rate))) if reading.at.duration_since(last.at) < APART => return Some(*rate),
            Some((last, _)) => *last,
            None => Reading { at: made?, used_nanos: 0 },
        };
        let rate = Rate::between(before, reading);
        self.0.insert(id.to_owned(), (reading, rate));
        rate
    }

    /// Forgets all others.
    fn keep(&mut self, seen: &HashSet<&str>) {
        self.0.retain(|id, _| seen.contains(id.as_str()));
    }
}

/// `cpu` and `memory` of a summary. What is not known is not said.
fn usage(rate: Option<Rate>, reading: Reading, memory: u64) -> Value {
    let time = reading.at.to_string();
    let mut usage = json!({
        "cpu": {"time": time, "usageCoreNanoSeconds": reading.used_nanos},
        "memory": {"time": time, "workingSetBytes": memory},
    });
    if let Some(rate) = rate {
        usage["cpu"]["usageNanoCores"] = json!(rate.nano_cores);
        usage["cpu"]["usageWindowNanos"] = json!(u64::try_from(rate.window.as_nanos()).unwrap_or_default());
    }
    usage
}

/// What the node's machine has used so far.
fn node_reading() -> Reading {
    let used_nanos = processor_nanos(&std::fs::read_to_string("/proc/stat").unwrap_or_default());
    Reading { at: Timestamp::now(), used_nanos }
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

    fn reading(millis: i64, used_millis: u64) -> Reading {
        Reading { at: Timestamp::from_millisecond(millis).unwrap(), used_nanos: used_millis * 1_000_000 }
    }

    fn rate(milli_cores: u64, millis: i64) -> Option<Rate> {
        Some(Rate { nano_cores: milli_cores * 1_000_000, window: SignedDuration::from_millis(millis) })
    }

    #[test]
    fn a_rate_is_between_readings_that_are_apart() {
        let mut rates = Rates::default();
        rates.start([("a".to_owned(), reading(0, 5_000))]);
        assert_eq!(rates.rate("a", reading(1_000, 5_250), None), rate(250, 1_000));
        // Too close: what was said last still holds.
        assert_eq!(rates.rate("a", reading(1_900, 6_150), None), rate(250, 1_000));
        assert_eq!(rates.rate("a", reading(3_000, 6_250), None), rate(500, 2_000));
        // A counter that went back is no use.
        assert_eq!(rates.rate("a", reading(5_000, 0), None), rate(0, 2_000));
    }

    #[test]
    fn what_is_new_counts_from_when_it_was_made() {
        let mut rates = Rates::default();
        let made = Timestamp::from_millisecond(1_000).unwrap();
        assert_eq!(rates.rate("a", reading(1_500, 250), Some(made)), rate(500, 500));
        assert_eq!(rates.rate("b", reading(1_500, 250), None), None);
        assert!(rates.knows("a") && !rates.knows("b"));
    }

    #[test]
    fn old_readings_are_made_anew() {
        let mut rates = Rates::default();
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert!(!rates.are_recent("node", at(0)));
        rates.start([("node".to_owned(), reading(0, 0))]);
        assert!(rates.are_recent("node", at(59)) && !rates.are_recent("node", at(60)));
        rates.keep(&HashSet::new());
        assert!(!rates.knows("node"));
    }

    #[test]
    fn the_machines_figures_are_read() {
        assert_eq!(processor_nanos("cpu  100 0 50 900 10 1 2 3 0 0\ncpu0 1 2\n"), 156 * 10_000_000);
        assert_eq!(processor_nanos(""), 0);
        assert_eq!(memory_used("MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:   400 kB\n"), 600 * 1024);
        assert_eq!(memory_used("nonsense"), 0);
    }
}
