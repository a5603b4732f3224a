//! LimitRanger: what a namespace gives its containers when they ask for nothing, and what they may ask for.

use std::collections::BTreeMap;

use api::{Quantity, Status};
use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use serde_json::{Value, json};

use super::Admit;
use super::pod::containers_mut;

type Amounts = Option<BTreeMap<String, Text>>;

/// Fills requests and limits in, and refuses what is out of bounds.
pub(super) fn mutate(admit: &Admit<'_>, pod: &mut Value) -> Result<(), Status> {
    let ranges: Vec<&LimitRange> = admit.view.list_in::<LimitRange>(admit.op.namespace).collect();
    let items: Vec<&LimitRangeItem> =
        ranges.iter().filter_map(|range| range.spec.as_ref()).flat_map(|spec| &spec.limits).collect();
    for item in items.iter().filter(|item| item.type_ == "Container") {
        for list in ["initContainers", "containers"] {
            for container in containers_mut(pod, list) {
                fill(container, item);
            }
        }
    }
    let mut wrong = Vec::new();
    for item in items {
        match item.type_.as_str() {
            "Container" => {
                for list in ["initContainers", "containers"] {
                    for container in pod["spec"][list].as_array().into_iter().flatten() {
                        bounds(
                            item,
                            "Container",
                            |field, resource| amount(&container["resources"][field][resource]),
                            &mut wrong,
                        );
                    }
                }
            }
            "Pod" => bounds(item, "Pod", |field, resource| pod_amount(pod, field, resource), &mut wrong),
            _ => {}
        }
    }
    refuse(admit, pod, &wrong)
}

/// Refuses claims that are out of bounds.
pub(super) fn check_claim(admit: &Admit<'_>, claim: &Value) -> Result<(), Status> {
    let mut wrong = Vec::new();
    for range in admit.view.list_in::<LimitRange>(admit.op.namespace) {
        let items = range.spec.as_ref().map_or(&[][..], |spec| &spec.limits);
        for item in items.iter().filter(|item| item.type_ == "PersistentVolumeClaim") {
            let sent = |field: &str, resource: &str| match field {
                "requests" => amount(&claim["spec"]["resources"]["requests"][resource]),
                _ => None,
            };
            bounds(&LimitRangeItem { max: None, ..item.clone() }, "PersistentVolumeClaim", sent, &mut wrong);
            for (resource, max) in item.max.iter().flatten() {
                if let (Some(asked), Some(bound)) = (sent("requests", resource), parse(max))
                    && asked > bound
                {
                    wrong.push(format!(
                        "maximum {resource} usage per PersistentVolumeClaim is {}, but request is {asked}",
                        max.0
                    ));
                }
            }
        }
    }
    refuse(admit, claim, &wrong)
}

fn refuse(admit: &Admit<'_>, value: &Value, wrong: &[String]) -> Result<(), Status> {
    match wrong {
        [] => Ok(()),
        [one] => Err(admit.forbidden(value, one)),
        many => Err(admit.forbidden(value, &format!("[{}]", many.join(", ")))),
    }
}

fn parse(text: &Text) -> Option<Quantity> {
    Quantity::parse(&text.0).ok()
}

/// A quantity in an object.
pub(super) fn amount(value: &Value) -> Option<Quantity> {
    Quantity::parse(value.as_str()?).ok()
}

/// What all containers of a pod ask for together: those that run side by side, or the largest that runs before.
pub(super) fn pod_amount(pod: &Value, field: &str, resource: &str) -> Option<Quantity> {
    let of = |list: &str| {
        let containers = pod["spec"][list].as_array().into_iter().flatten();
        containers.filter_map(|container| amount(&container["resources"][field][resource])).collect::<Vec<_>>()
    };
    let (running, before) = (of("containers"), of("initContainers"));
    let together = (!running.is_empty()).then(|| running.into_iter().sum::<Quantity>());
    let largest = before.into_iter().max();
    together.max(largest)
}

/// Gives a container what the range has for those that ask for nothing.
fn fill(container: &mut Value, item: &LimitRangeItem) {
    let sent_limits = container["resources"]["limits"].clone();
    let mut set = |field: &str, amounts: &Amounts, unless: &Value| {
        for (resource, text) in amounts.iter().flatten() {
            if !container["resources"][field][resource].is_null() || !unless[resource].is_null() {
                continue;
            }
            for part in ["", field] {
                let at = if part.is_empty() { &mut container["resources"] } else { &mut container["resources"][part] };
                if !at.is_object() {
                    *at = json!({});
                }
            }
            container["resources"][field][resource] = json!(text.0);
        }
    };
    set("limits", &item.default, &Value::Null);
    // Whoever sends a limit without a request asks for as much as the limit, which defaults have done.
    set("requests", &item.default_request, &sent_limits);
}

/// Reports what is out of bounds.
fn bounds(item: &LimitRangeItem, kind: &str, sent: impl Fn(&str, &str) -> Option<Quantity>, wrong: &mut Vec<String>) {
    for (resource, text) in item.min.iter().flatten() {
        let Some(bound) = parse(text) else { continue };
        match sent("requests", resource) {
            None => wrong.push(format!("minimum {resource} usage per {kind} is {}. No request is specified", text.0)),
            Some(asked) if asked < bound => {
                wrong.push(format!("minimum {resource} usage per {kind} is {}, but request is {asked}", text.0));
            }
            Some(_) => {}
        }
    }
    for (resource, text) in item.max.iter().flatten() {
        let Some(bound) = parse(text) else { continue };
        match sent("limits", resource) {
            None => wrong.push(format!("maximum {resource} usage per {kind} is {}. No limit is specified", text.0)),
            Some(asked) if asked > bound => {
                wrong.push(format!("maximum {resource} usage per {kind} is {}, but limit is {asked}", text.0));
            }
            Some(_) => {}
        }
    }
    for (resource, text) in item.max_limit_request_ratio.iter().flatten() {
        let Some(ratio) = parse(text) else { continue };
        let (limit, request) = (sent("limits", resource), sent("requests", resource));
        if let (Some(limit), Some(request)) = (limit, request)
            && request > Quantity::ZERO
            && i128::from(limit.as_milli()) * 1000 > i128::from(ratio.as_milli()) * i128::from(request.as_milli())
        {
            let actual = limit.as_milli() as f64 / request.as_milli() as f64;
            wrong.push(format!(
                "{resource} max limit to request ratio per {kind} is {}, but provided ratio is {actual:.6}",
                text.0
            ));
        }
    }
}
