//! The table of autoscalers.

use api::{Column, Row};
use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, MetricSpec, MetricStatus, MetricTarget, MetricValueStatus,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::Value;

use crate::table::{NONE, UNKNOWN, UNSET, age, name, string};

/// Columns of the kind's table.
pub const COLUMNS: &[Column<HorizontalPodAutoscaler>] = &[
    name(),
    string("Reference", |scaler, _| {
        let target = &scaler.spec.scale_target_ref;
        Value::from(format!("{}/{}", target.kind, target.name))
    }),
    string("Targets", targets),
    string("MinPods", |scaler, _| {
        Value::from(scaler.spec.min_replicas.map_or_else(|| UNSET.to_owned(), |number| number.to_string()))
    }),
    string("MaxPods", |scaler, _| Value::from(scaler.spec.max_replicas)),
    string("Replicas", |scaler, _| {
        Value::from(scaler.status.as_ref().and_then(|status| status.current_replicas).unwrap_or_default())
    }),
    age(),
];

fn targets(scaler: &HorizontalPodAutoscaler, _: Row) -> Value {
    const SHOWN: usize = 2;
    let wanted = scaler.spec.metrics.as_deref().unwrap_or_default();
    let current = scaler.status.as_ref().and_then(|status| status.current_metrics.as_deref()).unwrap_or_default();
    let all: Vec<String> = wanted.iter().enumerate().map(|(index, metric)| shown(metric, current.get(index))).collect();
    Value::from(match all.len() {
        0 => NONE.to_owned(),
        1..=SHOWN => all.join(", "),
        many => format!("{} + {} more...", all[..SHOWN].join(", "), many - SHOWN),
    })
}

/// What a metric is and what it should be: `cpu: 3%/80%`.
fn shown(wanted: &MetricSpec, status: Option<&MetricStatus>) -> String {
    match wanted.type_.as_str() {
        "External" => wanted.external.as_ref().map(|metric| {
            let current = status.and_then(|status| status.external.as_ref()).map(|metric| &metric.current);
            value_or_average(&metric.target, current)
        }),
        "Object" => wanted.object.as_ref().map(|metric| {
            let current = status.and_then(|status| status.object.as_ref()).map(|metric| &metric.current);
            value_or_average(&metric.target, current)
        }),
        "Pods" => wanted.pods.as_ref().map(|metric| {
            let current = status.and_then(|status| status.pods.as_ref()).map(|metric| &metric.current);
            let current = amount(current.and_then(|current| current.average_value.as_ref()));
            format!("{current}/{}", amount(metric.target.average_value.as_ref()))
        }),
        "Resource" => wanted.resource.as_ref().map(|metric| {
            let current = status.and_then(|status| status.resource.as_ref()).map(|metric| &metric.current);
            of_resource(&metric.name, &metric.target, current)
        }),
        "ContainerResource" => wanted.container_resource.as_ref().map(|metric| {
            let current = status.and_then(|status| status.container_resource.as_ref()).map(|metric| &metric.current);
            of_resource(&metric.name, &metric.target, current)
        }),
        _ => None,
    }
    .unwrap_or_else(|| "<unknown type>".to_owned())
}

fn amount(quantity: Option<&Quantity>) -> &str {
    quantity.map_or(UNKNOWN, |quantity| &quantity.0)
}

fn value_or_average(target: &MetricTarget, current: Option<&MetricValueStatus>) -> String {
    match &target.average_value {
        Some(average) => {
            format!("{}/{} (avg)", amount(current.and_then(|current| current.average_value.as_ref())), average.0)
        }
        None => {
            let current = current.and_then(|current| current.value.as_ref());
            format!("{}/{}", amount(current), amount(target.value.as_ref()))
        }
    }
}

fn of_resource(name: &str, target: &MetricTarget, current: Option<&MetricValueStatus>) -> String {
    if let Some(average) = &target.average_value {
        return format!("{name}: {}/{}", amount(current.and_then(|current| current.average_value.as_ref())), average.0);
    }
    let percent =
        |value: Option<i32>, absent: &str| value.map_or_else(|| absent.to_owned(), |value| format!("{value}%"));
    let current = percent(current.and_then(|current| current.average_utilization), UNKNOWN);
    format!("{name}: {current}/{}", percent(target.average_utilization, "<auto>"))
}
