//! How the kernel treats a pod under pressure: quality of service classes and OOM scores.

use std::collections::BTreeMap;

use api::Quantity;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use crate::pod::members;

/// An amount in a resource list.
pub(crate) fn amount(list: Option<&BTreeMap<String, Text>>, resource: &str) -> Option<Quantity> {
    list.and_then(|list| list.get(resource)).and_then(|text| Quantity::parse(&text.0).ok())
}

/// What a container asks for of a resource; its limit if it says nothing else.
pub(crate) fn request(container: &Container, resource: &str) -> Option<Quantity> {
    let resources = container.resources.as_ref()?;
    amount(resources.requests.as_ref(), resource).or_else(|| amount(resources.limits.as_ref(), resource))
}

/// What a container may use of a resource.
pub(crate) fn limit(container: &Container, resource: &str) -> Option<Quantity> {
    amount(container.resources.as_ref()?.limits.as_ref(), resource)
}

/// `Guaranteed`, `Burstable` or `BestEffort`.
pub(crate) fn class(spec: &PodSpec) -> &'static str {
    // Resources of the pod as a whole count instead of those of its containers (KEP-2837).
    if let Some(whole) = &spec.resources {
        let alone = Container { resources: Some(whole.clone()), ..Container::default() };
        return class(&PodSpec { containers: vec![alone], ..PodSpec::default() });
    }
    let containers: Vec<_> = members::init(spec).chain(members::main(spec)).collect();
    let resources = ["cpu", "memory"];
    let asks = |container: &Container| {
        resources.iter().any(|resource| {
            let positive = |amount: Option<Quantity>| amount.is_some_and(|amount| amount > Quantity::ZERO);
            positive(request(container, resource)) || positive(limit(container, resource))
        })
    };
    if !containers.iter().any(|member| asks(&member.container)) {
        return "BestEffort";
    }
    let guaranteed = containers.iter().all(|member| {
        resources.iter().all(|resource| {
            let limit = limit(&member.container, resource);
            limit.is_some_and(|limit| limit > Quantity::ZERO) && limit == request(&member.container, resource)
        })
    });
    if guaranteed { "Guaranteed" } else { "Burstable" }
}

/// How soon the kernel kills a container when memory runs out: the more of the machine's memory it
/// asked for, the later.
pub(crate) fn oom_score_adj(spec: &PodSpec, container: &Container, machine_bytes: i64) -> i64 {
    if spec.priority.is_some_and(|priority| priority >= 2_000_000_000) {
        return -997;
    }
    match class(spec) {
        "Guaranteed" => -997,
        "BestEffort" => 1000,
        _ => {
            let asked = request(container, "memory").map_or(0, Quantity::as_units);
            let share = 1000_i64.saturating_mul(asked).checked_div(machine_bytes).unwrap_or(0);
            // 3 keeps it above Guaranteed and node processes, 999 below BestEffort.
            (1000 - share).clamp(3, 999)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(resources: &[Value], expected: &str) {
        let containers: Vec<_> =
            resources.iter().map(|resources| json!({"name": "c", "resources": resources})).collect();
        let spec: PodSpec = serde_json::from_value(json!({ "containers": containers })).unwrap();
        assert_eq!(class(&spec), expected, "{resources:?}");
    }

    #[test]
    fn classes() {
        let full = json!({"limits": {"cpu": "1", "memory": "1Gi"}});
        let equal = json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1000m", "memory": "1Gi"}});
        check(&[json!({})], "BestEffort");
        check(std::slice::from_ref(&full), "Guaranteed");
        check(&[full.clone(), equal], "Guaranteed");
        check(&[full, json!({})], "Burstable");
        check(&[json!({"requests": {"cpu": "1m"}})], "Burstable");
    }

    #[test]
    fn scores_fall_with_the_memory_asked_for() {
        let spec: PodSpec = serde_json::from_value(json!({"containers": [
            {"name": "c", "resources": {"requests": {"memory": "512Mi"}}},
        ]}))
        .unwrap();
        assert_eq!(oom_score_adj(&spec, &spec.containers[0], 1 << 30), 500);
    }
}
