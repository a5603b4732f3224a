//! Metrics as the API shows them: objects, their lists, and tables.

use std::collections::BTreeMap;

use api::Status;
use http::StatusCode;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Value, json};

use super::summary::{Reading, Summary};
use super::{GROUP, VERSION};
use crate::Response;
use crate::http::media::Accept;
use crate::read::render::{Form, Include};
use crate::request::Query;

/// The metrics of one node or pod.
pub(super) struct Metrics {
    namespace: Option<String>,
    name: String,
    labels: Option<BTreeMap<String, String>>,
    /// By container; a node has one reading without a name.
    readings: Vec<(String, Reading)>,
}

impl Metrics {
    /// Those of a node.
    pub(super) fn of_node(node: &Node, summary: &Summary) -> Option<Self> {
        Some(Self::new(&node.metadata, vec![(String::new(), summary.node.reading()?)]))
    }

    /// Those of a pod, once each of its containers was measured.
    pub(super) fn of_pod(pod: &Pod, summary: &Summary) -> Option<Self> {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let measured = summary.pods.iter().find(|usage| usage.pod_ref.uid == uid)?;
        let readings = measured.containers.iter().map(|one| Some((one.name.clone(), one.usage.reading()?)));
        let mut readings: Vec<(String, Reading)> = readings.collect::<Option<_>>()?;
        readings.sort_by(|a, b| a.0.cmp(&b.0));
        (!readings.is_empty()).then(|| Self::new(&pod.metadata, readings))
    }

    fn new(meta: &ObjectMeta, readings: Vec<(String, Reading)>) -> Self {
        Self {
            namespace: meta.namespace.clone(),
            name: meta.name.clone().unwrap_or_default(),
            labels: meta.labels.clone(),
            readings,
        }
    }

    /// The oldest reading: all of them are at least as new.
    fn oldest(&self) -> Option<&Reading> {
        self.readings.iter().map(|(_, reading)| reading).min_by_key(|reading| reading.time)
    }

    fn window(&self) -> String {
        duration(self.oldest().map_or(0, |reading| reading.window_nanos))
    }

    fn metadata(&self) -> Value {
        let mut metadata = json!({"name": self.name, "creationTimestamp": seconds(Timestamp::now())});
        if let Some(namespace) = &self.namespace {
            metadata["namespace"] = json!(namespace);
        }
        if let Some(labels) = &self.labels {
            metadata["labels"] = json!(labels);
        }
        metadata
    }

    fn object(&self, kind: &str) -> Value {
        let mut object = json!({
            "kind": kind,
            "apiVersion": format!("{GROUP}/{VERSION}"),
            "metadata": self.metadata(),
            "timestamp": seconds(self.oldest().map_or(Timestamp::UNIX_EPOCH, |reading| reading.time)),
            "window": self.window(),
        });
        let usage = |reading: &Reading| json!({"cpu": cores(reading.nano_cores), "memory": bytes(reading.bytes)});
        if kind == "NodeMetrics" {
            object["usage"] = self.oldest().map(usage).into();
        } else {
            let containers = self.readings.iter().map(|(name, reading)| json!({"name": name, "usage": usage(reading)}));
            object["containers"] = containers.collect();
        }
        object
    }

    fn row(&self, kind: &str, include: Include) -> Value {
        let sum = |part: fn(&Reading) -> u64| self.readings.iter().map(|(_, reading)| part(reading)).sum();
        let (cpu, memory) = (sum(|reading| reading.nano_cores), sum(|reading| reading.bytes));
        let mut row = json!({"cells": [self.name, cores(cpu), bytes(memory), self.window()]});
        match include {
            Include::Nothing => {}
            Include::Metadata => row["object"] = self.partial(),
            Include::Object => row["object"] = self.object(kind),
        }
        row
    }

    fn partial(&self) -> Value {
        json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": self.metadata()})
    }
}

/// Answers with metrics in the form that was asked for; `one` is for a request that names its object.
///
/// # Errors
/// 400 for an `includeObject` that is not known.
pub(super) fn answer(
    kind: &str,
    metrics: &[Metrics],
    one: bool,
    accept: Accept,
    query: &Query,
) -> Result<Response, Status> {
    let list = |kind: &str, version: &str, items: Vec<Value>| json!({"kind": kind, "apiVersion": version, "metadata": {}, "items": items});
    let body = match (Form::of(accept, query)?, metrics) {
        (Form::Whole, [only]) if one => only.object(kind),
        (Form::Partial, [only]) if one => only.partial(),
        (Form::Whole, all) => {
            let items = all.iter().map(|one| one.object(kind)).collect();
            list(&format!("{kind}List"), &format!("{GROUP}/{VERSION}"), items)
        }
        (Form::Partial, all) => {
            list("PartialObjectMetadataList", "meta.k8s.io/v1", all.iter().map(Metrics::partial).collect())
        }
        (Form::Table(include), all) => json!({
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": {},
            "columnDefinitions": heads(),
            "rows": all.iter().map(|one| one.row(kind, include)).collect::<Vec<_>>(),
        }),
    };
    Ok(Response::json(StatusCode::OK, &body))
}

/// The columns of metrics-server.
fn heads() -> Value {
    [("Name", "name"), ("cpu", "quantity"), ("memory", "quantity"), ("Window", "duration")]
        .iter()
        .map(|(name, format)| {
            json!({"name": name, "type": "string", "format": format, "description": "", "priority": 0})
        })
        .collect()
}

/// Cores as a quantity, in the largest unit that is exact.
fn cores(nano: u64) -> String {
    let units = [(1_000_000_000, ""), (1_000_000, "m"), (1_000, "u"), (1, "n")];
    quantity(nano, &units)
}

/// Bytes as a quantity, in the largest unit that is exact.
fn bytes(bytes: u64) -> String {
    quantity(bytes, &[(1 << 30, "Gi"), (1 << 20, "Mi"), (1 << 10, "Ki"), (1, "")])
}

fn quantity(amount: u64, units: &[(u64, &str)]) -> String {
    let exact = units.iter().find(|(unit, _)| amount > 0 && amount.is_multiple_of(*unit));
    exact.map_or_else(|| "0".to_owned(), |(unit, suffix)| format!("{}{suffix}", amount / unit))
}

/// A length of time in Go's notation, to the millisecond: `1m0.5s`.
fn duration(nanos: u64) -> String {
    let millis = nanos / 1_000_000;
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let fraction = format!("{}.{:03}", rest / 1000, rest % 1000);
    let seconds = fraction.trim_end_matches('0').trim_end_matches('.');
    if minutes == 0 { format!("{seconds}s") } else { format!("{minutes}m{seconds}s") }
}

/// A time in whole seconds, as Kubernetes writes times.
fn seconds(time: Timestamp) -> String {
    format!("{time:.0}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_kubernetes_writes_them() {
        let cpu = [(0, "0"), (1, "1n"), (1_500, "1500n"), (2_000, "2u"), (5_000_000, "5m"), (3_000_000_000, "3")];
        for (nano, text) in cpu {
            assert_eq!(cores(nano), text);
        }
        for (amount, text) in [(0, "0"), (1_000, "1000"), (4_096, "4Ki"), (3 << 20, "3Mi")] {
            assert_eq!(bytes(amount), text);
        }
        let windows = [(1_030_000_000, "1.03s"), (10_000_000_000, "10s"), (90_500_000_000, "1m30.5s"), (5, "0s")];
        for (nanos, text) in windows {
            assert_eq!(duration(nanos), text);
        }
    }
}
