//! Defaults and validation of autoscalers.

use api::{FieldErrors, Path};
use k8s_openapi::api::autoscaling::v2::{HorizontalPodAutoscaler, MetricSpec, MetricTarget};
use serde_json::{Value, json};

use crate::checks;
use crate::value::{at, clear_status, default, default_text, object, put};

/// Defaults of an autoscaler: CPU use of 80 percent, and how fast it may scale.
pub fn defaults(scaler: &mut Value) {
    let Some(spec) = object(scaler, "spec") else { return };
    default(spec, "minReplicas", 1);
    if spec["metrics"].as_array().is_none_or(Vec::is_empty) {
        put(
            spec,
            "metrics",
            json!([{
                "type": "Resource",
                "resource": { "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 80 } },
            }]),
        );
    }
    let Some(behavior) = at(spec, "behavior").filter(|behavior| behavior.is_object()) else { return };
    let percent = json!({ "type": "Percent", "value": 100, "periodSeconds": 15 });
    if let Some(up) = object(behavior, "scaleUp") {
        default(up, "stabilizationWindowSeconds", 0);
        default_text(up, "selectPolicy", "Max");
        default(up, "policies", json!([{ "type": "Pods", "value": 4, "periodSeconds": 15 }, percent]));
    }
    if let Some(down) = object(behavior, "scaleDown") {
        default_text(down, "selectPolicy", "Max");
        default(down, "policies", json!([percent]));
    }
}

/// On create there is no status yet.
pub fn prepare(scaler: &mut Value, old: Option<&Value>) {
    clear_status(scaler, old);
}

/// Reports everything that is wrong.
pub fn validate(scaler: &HorizontalPodAutoscaler, _: Option<&HorizontalPodAutoscaler>, errors: &mut FieldErrors) {
    let (spec, path) = (&scaler.spec, Path::new("spec"));
    let least = spec.min_replicas.unwrap_or(1);
    if least < 1 {
        errors.invalid(&path.child("minReplicas"), least, "must be greater than or equal to 1");
    }
    let most = spec.max_replicas;
    if most < 1 {
        errors.invalid(&path.child("maxReplicas"), most, "must be greater than 0");
    }
    if most < least {
        errors.invalid(&path.child("maxReplicas"), most, "must be greater than or equal to `minReplicas`");
    }
    let target = &spec.scale_target_ref;
    for (field, value) in [("kind", &target.kind), ("name", &target.name)] {
        if value.is_empty() {
            errors.required(&path.child("scaleTargetRef").child(field), "");
        }
    }
    for (index, one) in spec.metrics.iter().flatten().enumerate() {
        metric(one, &path.child("metrics").index(index), errors);
    }
}

fn metric(metric: &MetricSpec, path: &Path, errors: &mut FieldErrors) {
    const TYPES: &[&str] = &["ContainerResource", "External", "Object", "Pods", "Resource"];
    checks::one_of(errors, &path.child("type"), Some(&metric.type_), TYPES);
    let sources = [
        ("ContainerResource", "containerResource", metric.container_resource.as_ref().map(|one| &one.target)),
        ("External", "external", metric.external.as_ref().map(|one| &one.target)),
        ("Object", "object", metric.object.as_ref().map(|one| &one.target)),
        ("Pods", "pods", metric.pods.as_ref().map(|one| &one.target)),
        ("Resource", "resource", metric.resource.as_ref().map(|one| &one.target)),
    ];
    for (kind, field, target) in sources {
        let path = path.child(field);
        match target {
            None if kind == metric.type_ => {
                let why = "must populate information for the given metric source";
                errors.required(&path, why);
            }
            Some(_) if kind != metric.type_ => {
                let why = "must populate the given metric source only";
                errors.forbidden(&path, why);
            }
            Some(target) => metric_target(target, &path.child("target"), errors),
            None => {}
        }
    }
}

fn metric_target(target: &MetricTarget, path: &Path, errors: &mut FieldErrors) {
    if target.type_.is_empty() {
        errors.required(&path.child("type"), "must specify a metric target type");
    } else if !["AverageValue", "Utilization", "Value"].contains(&target.type_.as_str()) {
        let why = "must be either Utilization, Value, or AverageValue";
        errors.invalid(&path.child("type"), target.type_.as_str(), why);
    }
    if let Some(percent) = target.average_utilization.filter(|percent| *percent < 1) {
        errors.invalid(&path.child("averageUtilization"), percent, "must be greater than 0");
    }
}
