//! What a namespace uses of what its quotas bound.

use std::collections::BTreeMap;

use api::{Quantity, View};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodSpec, ResourceQuotaSpec, Service};
use k8s_openapi::apimachinery::pkg::api::resource;

use crate::workload::meta::Meta;
use crate::workload::pods;

type Map = BTreeMap<String, resource::Quantity>;

/// How much of each bounded resource of `quota` is used in `namespace`.
pub fn of(quota: &ResourceQuotaSpec, namespace: &str, view: &View) -> BTreeMap<String, Quantity> {
    let pods: Vec<&Pod> =
        view.list_in::<Pod>(namespace).filter(|pod| !pods::finished(pod) && in_scope(quota, pod)).collect();
    let hard = quota.hard.iter().flatten();
    hard.map(|(name, _)| (name.clone(), used(name, namespace, &pods, view))).collect()
}

fn used(name: &str, namespace: &str, pods: &[&Pod], view: &View) -> Quantity {
    let sum = |of: &dyn Fn(&PodSpec) -> Quantity| pods.iter().filter_map(|pod| pods::spec(pod)).map(of).sum();
    let services = || view.list_in::<Service>(namespace).filter_map(|service| service.spec.as_ref());
    match name {
        "pods" => number(pods.len()),
        "services"
        | "configmaps"
        | "secrets"
        | "replicationcontrollers"
        | "resourcequotas"
        | "persistentvolumeclaims" => count("", name, namespace, view),
        "services.loadbalancers" => {
            number(services().filter(|spec| spec.type_.as_deref() == Some("LoadBalancer")).count())
        }
        "services.nodeports" => {
            let ports = |spec: &&k8s_openapi::api::core::v1::ServiceSpec| {
                let exposed = matches!(spec.type_.as_deref(), Some("NodePort" | "LoadBalancer"));
                if exposed { spec.ports.as_ref().map_or(0, Vec::len) } else { 0 }
            };
            number(services().map(|spec| ports(&spec)).sum())
        }
        "requests.storage" => view.list_in::<PersistentVolumeClaim>(namespace).map(storage).sum(),
        "cpu" | "memory" | "ephemeral-storage" => sum(&|spec| amount(spec, name, Side::Requests)),
        _ => match name.split_once(['.', '/']) {
            Some(("count", resource)) => {
                let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
                count(group, plural, namespace, view)
            }
            Some(("requests", resource)) => sum(&|spec| amount(spec, resource, Side::Requests)),
            Some(("limits", resource)) => sum(&|spec| amount(spec, resource, Side::Limits)),
            _ => Quantity::ZERO,
        },
    }
}

fn number(n: usize) -> Quantity {
    Quantity::units(i64::try_from(n).unwrap_or(i64::MAX))
}

fn count(group: &str, plural: &str, namespace: &str, view: &View) -> Quantity {
    let kind = view.catalogue().by_plural(group, plural);
    number(kind.map_or(0, |kind| view.objects_in(kind.id, namespace).count()))
}

fn storage(claim: &PersistentVolumeClaim) -> Quantity {
    let requests = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref()?.requests.as_ref());
    get(requests, "storage")
}

/// Which side of `resources` is bounded.
#[derive(Clone, Copy)]
enum Side {
    Requests,
    Limits,
}

/// What a pod counts for: its containers together, or its largest init container.
fn amount(spec: &PodSpec, resource: &str, side: Side) -> Quantity {
    let of = |container: &k8s_openapi::api::core::v1::Container| {
        let resources = container.resources.as_ref();
        let map = match side {
            Side::Requests => resources.and_then(|resources| resources.requests.as_ref()),
            Side::Limits => resources.and_then(|resources| resources.limits.as_ref()),
        };
        get(map, resource)
    };
    let together: Quantity = spec.containers.iter().map(of).sum();
    let first = spec.init_containers.iter().flatten().map(of).max().unwrap_or_default();
    together.max(first) + get(spec.overhead.as_ref(), resource)
}

fn get(map: Option<&Map>, resource: &str) -> Quantity {
    map.and_then(|map| map.get(resource)).and_then(|quantity| Quantity::parse(&quantity.0).ok()).unwrap_or_default()
}

/// Whether a quota is about a pod.
pub fn in_scope(quota: &ResourceQuotaSpec, pod: &Pod) -> bool {
    let spec = pods::spec(pod);
    let terminating = spec.is_some_and(|spec| spec.active_deadline_seconds.is_some());
    let best_effort = pod.status.as_ref().and_then(|status| status.qos_class.as_deref()).map_or_else(
        || spec.is_some_and(|spec| spec.containers.iter().all(|container| container.resources.is_none())),
        |class| class == "BestEffort",
    );
    let class = spec.and_then(|spec| spec.priority_class_name.as_deref()).unwrap_or_default();
    let in_one = |scope: &str| match scope {
        "Terminating" => terminating,
        "NotTerminating" => !terminating,
        "BestEffort" => best_effort,
        "NotBestEffort" => !best_effort,
        "PriorityClass" => !class.is_empty(),
        _ => true,
    };
    let by_list = quota.scopes.iter().flatten().all(|scope| in_one(scope));
    let expressions = quota.scope_selector.iter().flat_map(|selector| selector.match_expressions.iter().flatten());
    let by_selector = expressions.into_iter().all(|one| {
        let listed = one.values.iter().flatten().any(|value| value == class);
        match (one.scope_name.as_str(), one.operator.as_str()) {
            ("PriorityClass", "In") => listed,
            ("PriorityClass", "NotIn") => !listed,
            (scope, "DoesNotExist") => !in_one(scope),
            (scope, _) => in_one(scope),
        }
    });
    by_list && by_selector && !pod.name().is_empty()
}

/// An amount in the notation that people use for the resource: bytes in powers of two.
pub fn shown(resource: &str, amount: Quantity) -> String {
    let bytes = resource.ends_with("memory") || resource.ends_with("storage") || resource.contains("hugepages");
    let units = amount.as_units();
    if !bytes || units < 1024 {
        return amount.to_string();
    }
    let (power, suffix) = [(60, "Ei"), (50, "Pi"), (40, "Ti"), (30, "Gi"), (20, "Mi"), (10, "Ki")]
        .into_iter()
        .find(|(power, _)| units % (1_i64 << power) == 0)
        .unwrap_or((0, ""));
    format!("{}{suffix}", units >> power)
}
