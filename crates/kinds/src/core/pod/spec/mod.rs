//! Validation of pod specs, in pods and in templates.
//!
//! Every problem is reported with Kubernetes' path and words. Fields that nothing here acts on (storage plugins
//! that were removed, Windows) are checked by the schema only.

mod affinity;
mod containers;
mod env;
mod probes;
pub mod resources;
mod security;
pub mod tolerations;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};

use api::{FieldErrors, Path, names};
use k8s_openapi::api::core::v1::{PodDNSConfig, PodSpec, Volume};

use crate::checks;

pub use affinity::node_selector;
pub use volumes::local_path;

/// What checks of parts have to know of the whole.
struct Whole<'a> {
    spec: &'a PodSpec,
    /// Good volumes by name.
    volumes: BTreeMap<&'a str, &'a Volume>,
    claims: BTreeSet<&'a str>,
    /// Whether the spec is a pod's own and not that of a template.
    of_pod: bool,
}

impl Whole<'_> {
    fn host_users(&self) -> bool {
        self.spec.host_users.unwrap_or(true)
    }
}

/// Reports everything that is wrong with a pod spec; `of_pod` tells a pod's own spec from a template's.
pub fn validate(spec: &PodSpec, path: &Path, of_pod: bool, errors: &mut FieldErrors) {
    if spec.termination_grace_period_seconds.is_none() {
        errors.required(&path.child("terminationGracePeriodSeconds"), "");
    }
    let volumes = volumes::validate(spec, &path.child("volumes"), errors);
    let claims = resource_claims(spec, &path.child("resourceClaims"), errors);
    let whole = Whole { spec, volumes, claims, of_pod };
    containers::validate(&whole, path, errors);
    resources::pod_level(spec, &path.child("resources"), errors);
    host_network_ports(spec, path, of_pod, errors);
    checks::one_of(
        errors,
        &path.child("restartPolicy"),
        spec.restart_policy.as_deref(),
        &["Always", "OnFailure", "Never"],
    );
    dns(spec, path, errors);
    checks::labels(errors, &path.child("nodeSelector"), spec.node_selector.as_ref());
    security::pod(spec, path, errors);
    affinity::validate(spec, path, errors);
    for (index, gate) in spec.readiness_gates.iter().flatten().enumerate() {
        let path = path.child("readinessGates").index(index).child("conditionType");
        checks::name(errors, &path, &gate.condition_type, checks::QUALIFIED);
    }
    let mut gates = BTreeSet::new();
    for (index, gate) in spec.scheduling_gates.iter().flatten().enumerate() {
        let path = path.child("schedulingGates").index(index);
        checks::name(errors, &path, &gate.name, checks::QUALIFIED);
        if !gates.insert(&gate.name) {
            errors.duplicate(&path, gate.name.as_str());
        }
    }
    referenced_names(spec, path, errors);
    if let Some(seconds) = spec.active_deadline_seconds {
        checks::within(errors, &path.child("activeDeadlineSeconds"), seconds, 1, i32::MAX.into());
    }
    tolerations::validate(spec.tolerations.as_deref().unwrap_or_default(), &path.child("tolerations"), errors);
    for (index, alias) in spec.host_aliases.iter().flatten().enumerate() {
        let path = path.child("hostAliases").index(index);
        checks::ip(errors, &path.child("ip"), &alias.ip);
        for (index, name) in alias.hostnames.iter().flatten().enumerate() {
            checks::name(errors, &path.child("hostnames").index(index), name, checks::SUBDOMAIN);
        }
    }
    checks::maybe_one_of(
        errors,
        &path.child("preemptionPolicy"),
        spec.preemption_policy.as_deref(),
        &["PreemptLowerPriority", "Never"],
    );
    if let Some(os) = &spec.os {
        if os.name.is_empty() {
            errors.required(&path.child("os").child("name"), "cannot be empty");
        } else if !["linux", "windows"].contains(&os.name.as_str()) {
            errors.not_supported(&path.child("os"), os.name.as_str(), &["linux", "windows"]);
        }
    }
}

/// Names of other objects and of the pod itself on its network.
fn referenced_names(spec: &PodSpec, path: &Path, errors: &mut FieldErrors) {
    for (field, value, check) in [
        ("serviceAccountName", &spec.service_account_name, checks::SUBDOMAIN),
        ("nodeName", &spec.node_name, checks::SUBDOMAIN),
        ("hostname", &spec.hostname, checks::LABEL),
        ("subdomain", &spec.subdomain, checks::LABEL),
        ("priorityClassName", &spec.priority_class_name, checks::SUBDOMAIN),
    ] {
        if let Some(name) = value.as_deref().filter(|name| !name.is_empty()) {
            checks::name(errors, &path.child(field), name, check);
        }
    }
    if let Some(name) = &spec.runtime_class_name {
        checks::name(errors, &path.child("runtimeClassName"), name, checks::SUBDOMAIN);
    }
}

fn resource_claims<'a>(spec: &'a PodSpec, path: &Path, errors: &mut FieldErrors) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    for (index, claim) in spec.resource_claims.iter().flatten().enumerate() {
        let path = path.index(index);
        if claim.name.is_empty() {
            errors.required(&path.child("name"), "");
        } else if seen.insert(claim.name.as_str()) {
            checks::name(errors, &path.child("name"), &claim.name, checks::LABEL);
        } else {
            errors.duplicate(&path.child("name"), claim.name.as_str());
        }
        match (&claim.resource_claim_name, &claim.resource_claim_template_name) {
            (Some(_), Some(_)) => errors.invalid(
                &path,
                checks::json(claim),
                "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified",
            ),
            (None, None) => errors.invalid(
                &path,
                checks::json(claim),
                "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`",
            ),
            (Some(name), None) => {
                checks::name(errors, &path.child("resourceClaimName"), name, checks::SUBDOMAIN);
            }
            (None, Some(name)) => {
                checks::name(errors, &path.child("resourceClaimTemplateName"), name, checks::SUBDOMAIN);
            }
        }
    }
    seen
}

/// On the host's network a container's port is the host's; a template may leave the host port to be defaulted.
fn host_network_ports(spec: &PodSpec, path: &Path, of_pod: bool, errors: &mut FieldErrors) {
    if spec.host_network != Some(true) {
        return;
    }
    for (index, container) in spec.containers.iter().enumerate() {
        let path = path.child("containers").index(index).child("ports");
        for (index, port) in container.ports.iter().flatten().enumerate() {
            let host = port.host_port.unwrap_or_default();
            if (of_pod || host != 0) && host != port.container_port {
                let path = path.index(index).child("hostPort");
                errors.invalid(&path, host, "must match `containerPort` when `hostNetwork` is true");
            }
        }
    }
}

/// Limits of libc's resolver.
const NAMESERVERS_MAX: usize = 3;
const SEARCHES_MAX: usize = 32;
const SEARCH_BYTES_MAX: usize = 2048;

fn dns(spec: &PodSpec, path: &Path, errors: &mut FieldErrors) {
    let policy = spec.dns_policy.as_deref();
    checks::one_of(
        errors,
        &path.child("dnsPolicy"),
        policy,
        &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
    );
    let path = path.child("dnsConfig");
    if policy == Some("None") {
        let Some(config) = &spec.dns_config else {
            return errors.required(&path, "must provide `dnsConfig` when `dnsPolicy` is None");
        };
        if config.nameservers.as_ref().is_none_or(Vec::is_empty) {
            let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return errors.required(&path.child("nameservers"), why);
        }
    }
    if let Some(config) = &spec.dns_config {
        dns_config(config, &path, errors);
    }
}

fn dns_config(config: &PodDNSConfig, path: &Path, errors: &mut FieldErrors) {
    let servers = config.nameservers.as_deref().unwrap_or_default();
    let servers_path = path.child("nameservers");
    if servers.len() > NAMESERVERS_MAX {
        errors.invalid(&servers_path, servers, &format!("must not have more than {NAMESERVERS_MAX} nameservers"));
    }
    for (index, server) in servers.iter().enumerate() {
        checks::ip(errors, &servers_path.index(index), server);
    }
    let searches = config.searches.as_deref().unwrap_or_default();
    let searches_path = path.child("searches");
    if searches.len() > SEARCHES_MAX {
        errors.invalid(&searches_path, searches, &format!("must not have more than {SEARCHES_MAX} search paths"));
    }
    if searches.join(" ").len() > SEARCH_BYTES_MAX {
        let why =
            format!("must not have more than {SEARCH_BYTES_MAX} characters (including spaces) in the search list");
        errors.invalid(&searches_path, searches, &why);
    }
    for (index, search) in searches.iter().enumerate().filter(|(_, search)| *search != ".") {
        // Names of search domains may have underscores (KEP-4427).
        let name = search.strip_suffix('.').unwrap_or(search);
        if !names::dns_subdomain(&name.replace('_', "a")).is_empty() {
            checks::name(errors, &searches_path.index(index), name, checks::SUBDOMAIN);
        }
    }
    for (index, option) in config.options.iter().flatten().enumerate() {
        if option.name.as_deref().unwrap_or_default().is_empty() {
            errors.required(&path.child("options").index(index), "must not be empty");
        }
    }
}
