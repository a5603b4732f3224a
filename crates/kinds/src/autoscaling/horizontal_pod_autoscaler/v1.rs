//! `autoscaling/v1`: the form with one CPU target; everything else travels in annotations.
//!
//! The annotations' names are fixed by Kubernetes: clients of the old version have to write back what they read.

use api::GroupKind;
use api::kind::Alias;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use serde_json::{Value, json};

use crate::value::{at, object, put, remove};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const CURRENT: &str = "autoscaling.alpha.kubernetes.io/current-metrics";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// `autoscaling/v1` HorizontalPodAutoscaler, kept as `autoscaling/v2`.
pub const ALIAS: Alias =
    Alias { group: "autoscaling", version: "v1", stored: GroupKind::of::<HorizontalPodAutoscaler>(), serve, store };

fn serve(value: &mut Value) {
    put(value, "apiVersion", Value::from("autoscaling/v1"));
    let mut notes = Vec::new();
    if let Some(spec) = at(value, "spec") {
        let (target, rest) = split(remove(spec, "metrics"), "target");
        if let Some(target) = target {
            put(spec, "targetCPUUtilizationPercentage", target);
        }
        notes.push((METRICS, rest));
        notes.push((BEHAVIOR, remove(spec, "behavior")));
    }
    if let Some(status) = at(value, "status") {
        let (current, rest) = split(remove(status, "currentMetrics"), "current");
        if let Some(current) = current {
            put(status, "currentCPUUtilizationPercentage", current);
        }
        notes.push((CURRENT, rest));
        notes.push((CONDITIONS, remove(status, "conditions")));
    }
    for (name, note) in notes {
        let annotations = |value| object(value, "metadata").and_then(|metadata| object(metadata, "annotations"));
        if let Some(note) = note.filter(|note| !note.is_null())
            && let Some(annotations) = annotations(value)
        {
            put(annotations, name, note.to_string());
        }
    }
}

/// The average CPU utilization out of a list of metrics, and what else is in the list.
fn split(metrics: Option<Value>, side: &str) -> (Option<Value>, Option<Value>) {
    let Some(Value::Array(mut metrics)) = metrics else { return (None, metrics) };
    let is_cpu = |metric: &Value| {
        metric["type"] == "Resource"
            && metric["resource"]["name"] == "cpu"
            && metric["resource"][side]["averageUtilization"].is_i64()
    };
    let cpu = metrics.iter().position(is_cpu).map(|index| metrics.remove(index));
    let utilization = cpu.map(|metric| metric["resource"][side]["averageUtilization"].clone());
    (utilization, (!metrics.is_empty()).then_some(Value::Array(metrics)))
}

fn store(value: &mut Value) {
    put(value, "apiVersion", Value::from("autoscaling/v2"));
    let mut take = |name: &str| -> Option<Value> {
        let note = remove(at(value, "metadata").and_then(|meta| at(meta, "annotations"))?, name)?;
        serde_json::from_str(note.as_str()?).ok()
    };
    let (metrics, behavior, current, conditions) = (take(METRICS), take(BEHAVIOR), take(CURRENT), take(CONDITIONS));
    if let Some(spec) = at(value, "spec") {
        let target = remove(spec, "targetCPUUtilizationPercentage").map(|target| {
            json!({ "type": "Resource", "resource": {
                "name": "cpu", "target": { "type": "Utilization", "averageUtilization": target } } })
        });
        put_some(spec, "metrics", join(target, metrics));
        put_some(spec, "behavior", behavior);
    }
    if let Some(status) = at(value, "status") {
        let cpu = remove(status, "currentCPUUtilizationPercentage").map(|current| {
            json!({ "type": "Resource", "resource": {
                "name": "cpu", "current": { "averageUtilization": current, "averageValue": "0" } } })
        });
        put_some(status, "currentMetrics", join(cpu, current));
        put_some(status, "conditions", conditions);
    }
}

fn join(first: Option<Value>, rest: Option<Value>) -> Option<Value> {
    let rest = match rest {
        Some(Value::Array(rest)) => rest,
        _ => Vec::new(),
    };
    let all: Vec<Value> = first.into_iter().chain(rest).collect();
    (!all.is_empty()).then_some(Value::Array(all))
}

fn put_some(value: &mut Value, field: &str, to: Option<Value>) {
    if let Some(to) = to {
        put(value, field, to);
    }
}
