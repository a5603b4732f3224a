//! Requests and limits.

use std::collections::{BTreeMap, BTreeSet};

use api::field::FieldErrorType;
use api::{FieldErrors, Path, Quantity};
use k8s_openapi::api::core::v1::{PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource;

use crate::checks;

type Amounts = BTreeMap<String, resource::Quantity>;

/// Resources without a prefix that containers can have.
const OF_CONTAINERS: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// Resources without a prefix that anything can have.
const STANDARD: &[&str] = &[
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
];

/// Names a resource of anything.
pub fn name(value: &str, path: &Path, errors: &mut FieldErrors) -> bool {
    let before = errors.0.len();
    checks::name(errors, path, value, checks::QUALIFIED);
    if errors.0.len() == before && !value.contains('/') && !STANDARD.contains(&value) && !is_huge_page(value) {
        errors.invalid(path, value, "must be a standard resource type or fully qualified");
    }
    errors.0.len() == before
}

/// Names a resource of a container.
pub fn container_resource(value: &str, path: &Path, errors: &mut FieldErrors) {
    name(value, path, errors);
    if !value.contains('/') {
        if !OF_CONTAINERS.contains(&value) && !is_huge_page(value) {
            errors.invalid(path, value, "must be a standard resource for containers");
        }
    } else if !value.contains("kubernetes.io/") && value.starts_with("requests.") {
        errors.invalid(path, value, "doesn't follow extended resource name standard");
    }
}

fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// Whether nodes may promise more of a resource than they have.
pub fn overcommits(name: &str) -> bool {
    let native = !name.contains('/') || name.contains("kubernetes.io/");
    native && !is_huge_page(name)
}

/// An amount of at least nothing; whole where parts make no sense.
pub fn amount(name: &str, value: &resource::Quantity, path: &Path, errors: &mut FieldErrors) -> Option<Quantity> {
    let Ok(amount) = Quantity::parse(&value.0) else {
        errors.invalid(path, value.0.as_str(), &api::quantity::NotAQuantity.to_string());
        return None;
    };
    if amount.negative() {
        errors.invalid(path, value.0.as_str(), "must be greater than or equal to 0");
    }
    let counted = ["pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps"];
    let whole = !overcommits(name) && !is_huge_page(name) || counted.contains(&name) || name.starts_with("count/");
    if whole && amount != Quantity::units(amount.as_units()) {
        errors.invalid(path, value.0.as_str(), "must be an integer");
    }
    Some(amount)
}

/// Requests and limits of a container.
pub fn of_container(wanted: &ResourceRequirements, claims: &BTreeSet<&str>, path: &Path, errors: &mut FieldErrors) {
    requirements(wanted, container_resource, path, errors);
    let mut seen = BTreeSet::new();
    for (index, claim) in wanted.claims.iter().flatten().enumerate() {
        let path = path.child("claims").index(index);
        if claim.name.is_empty() {
            errors.required(&path, "");
            continue;
        }
        if !seen.insert((&claim.name, &claim.request)) {
            errors.duplicate(&path, claim.name.as_str());
        }
        if !claims.contains(claim.name.as_str()) {
            let known: Vec<&str> = claims.iter().copied().collect();
            let known = if known.is_empty() { " which is empty".into() } else { format!(": {}", known.join(", ")) };
            let message =
                format!("Not found: {:?}: must be one of the names in pod.spec.resourceClaims{known}", claim.name);
            errors.0.push(api::field::FieldError { kind: FieldErrorType::NotFound, path, message });
        }
    }
}

fn requirements(
    wanted: &ResourceRequirements,
    check_name: fn(&str, &Path, &mut FieldErrors),
    path: &Path,
    errors: &mut FieldErrors,
) {
    let (limits_path, requests_path) = (path.child("limits"), path.child("requests"));
    let none = Amounts::new();
    let limits = wanted.limits.as_ref().unwrap_or(&none);
    let requests = wanted.requests.as_ref().unwrap_or(&none);
    for (name, value) in limits {
        let path = limits_path.key(name);
        check_name(name, &path, errors);
        amount(name, value, &path, errors);
    }
    for (name, value) in requests {
        let path = requests_path.key(name);
        check_name(name, &path, errors);
        let Some(request) = amount(name, value, &path, errors) else { continue };
        let limit = limits.get(name).and_then(|limit| Some((limit, Quantity::parse(&limit.0).ok()?)));
        match limit {
            Some((text, limit)) if request != limit && !overcommits(name) => {
                let why = format!("must be equal to {name} limit of {}", text.0);
                errors.invalid(&requests_path, value.0.as_str(), &why);
            }
            Some((text, limit)) if request > limit => {
                let why = format!("must be less than or equal to {name} limit of {}", text.0);
                errors.invalid(&requests_path, value.0.as_str(), &why);
            }
            None if !overcommits(name) => {
                errors.required(&limits_path, "Limit must be set for non overcommitable resources");
            }
            _ => {}
        }
    }
    let mut names = limits.keys().chain(requests.keys());
    if names.clone().any(|name| is_huge_page(name)) && !names.any(|name| name == "cpu" || name == "memory") {
        errors.forbidden(path, "HugePages require cpu or memory");
    }
}

/// Requests and limits of the pod as a whole (KEP-2837).
pub fn pod_level(spec: &PodSpec, path: &Path, errors: &mut FieldErrors) {
    let Some(wanted) = &spec.resources else { return };
    if wanted.claims.is_some() {
        errors.forbidden(&path.child("claims"), "claims cannot be set for Resources at pod-level");
    }
    requirements(wanted, pod_resource, path, errors);
    for (index, container) in spec.containers.iter().enumerate() {
        let limits = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
        for (name, limit) in limits.into_iter().flatten() {
            let Some(of_pod) = wanted.limits.as_ref().and_then(|limits| limits.get(name)) else { continue };
            let parsed = (Quantity::parse(&limit.0), Quantity::parse(&of_pod.0));
            if let (Ok(own), Ok(whole)) = parsed
                && own > whole
            {
                let path = path.child("containers").index(index).key(name).child("limits");
                let why = format!("must be less than or equal to pod limits of {}", of_pod.0);
                errors.invalid(&path, limit.0.as_str(), &why);
            }
        }
    }
}

fn pod_resource(value: &str, path: &Path, errors: &mut FieldErrors) {
    let known = ["cpu", "memory"].contains(&value) || is_huge_page(value);
    if name(value, path, errors) && !known {
        errors.not_supported(path, value, &["cpu", "hugepages-", "memory"]);
    }
}
