//! Containers, init containers and ephemeral containers.

use std::collections::BTreeSet;

use api::{FieldErrors, Path, names};
use k8s_openapi::api::core::v1::{Container, ContainerPort, EphemeralContainer};
use serde_json::Value;

use super::{Whole, env, probes, resources, security, volumes};
use crate::checks;

/// Names of containers and volumes may not be reused, so each list checks against the ones before it.
pub fn validate(whole: &Whole<'_>, path: &Path, errors: &mut FieldErrors) {
    regular(whole, &path.child("containers"), errors);
    init(whole, &path.child("initContainers"), errors);
    ephemeral(whole, &path.child("ephemeralContainers"), errors);
}

fn regular(whole: &Whole<'_>, path: &Path, errors: &mut FieldErrors) {
    if whole.spec.containers.is_empty() {
        return errors.required(path, "");
    }
    let mut seen = BTreeSet::new();
    let mut ports = BTreeSet::new();
    for (index, container) in whole.spec.containers.iter().enumerate() {
        let path = path.index(index);
        common(whole, container, &path, errors);
        if !seen.insert(&container.name) {
            errors.duplicate(&path.child("name"), container.name.as_str());
        }
        probes::lifecycle_and_probes(whole, container, &path, errors);
        restart_rules(container, &path, errors);
        host_port_conflicts(container, &mut ports, &path, errors);
    }
}

fn init(whole: &Whole<'_>, path: &Path, errors: &mut FieldErrors) {
    let mut seen: BTreeSet<&str> = whole.spec.containers.iter().map(|container| container.name.as_str()).collect();
    for (index, container) in whole.spec.init_containers.iter().flatten().enumerate() {
        let path = path.index(index);
        common(whole, container, &path, errors);
        if seen.contains(container.name.as_str()) {
            errors.duplicate(&path.child("name"), container.name.as_str());
        } else if !container.name.is_empty() {
            seen.insert(&container.name);
        }
        host_port_conflicts(container, &mut BTreeSet::new(), &path, errors);
        if container.restart_policy.as_deref() == Some("Always") {
            probes::lifecycle_and_probes(whole, container, &path, errors);
        } else {
            for (field, present) in [
                ("lifecycle", container.lifecycle.is_some()),
                ("livenessProbe", container.liveness_probe.is_some()),
                ("readinessProbe", container.readiness_probe.is_some()),
                ("startupProbe", container.startup_probe.is_some()),
            ] {
                if present {
                    let why = "may not be set for init containers without restartPolicy=Always";
                    errors.forbidden(&path.child(field), why);
                }
            }
        }
        restart_rules(container, &path, errors);
    }
}

/// Rules for restarting single containers (KEP-5307).
fn restart_rules(container: &Container, path: &Path, errors: &mut FieldErrors) {
    checks::maybe_one_of(
        errors,
        &path.child("restartPolicy"),
        container.restart_policy.as_deref(),
        &["Always", "OnFailure", "Never"],
    );
    let rules = container.restart_policy_rules.as_deref().unwrap_or_default();
    if !rules.is_empty() && container.restart_policy.is_none() {
        let why = "must specify restartPolicy when restart rules are used";
        errors.required(&path.child("restartPolicy"), why);
    }
}

fn ephemeral(whole: &Whole<'_>, path: &Path, errors: &mut FieldErrors) {
    let others: BTreeSet<&str> = whole
        .spec
        .containers
        .iter()
        .chain(whole.spec.init_containers.iter().flatten())
        .map(|container| container.name.as_str())
        .collect();
    let mut seen = others.clone();
    for (index, debug) in whole.spec.ephemeral_containers.iter().flatten().enumerate() {
        let path = path.index(index);
        common(whole, &as_container(debug), &path, errors);
        if !seen.insert(&debug.name) {
            errors.duplicate(&path.child("name"), debug.name.as_str());
        }
        if let Some(target) = debug.target_container_name.as_deref().filter(|target| !target.is_empty())
            && !others.contains(target)
        {
            errors.not_found(&path.child("targetContainerName"), target);
        }
        let resources = debug.resources.as_ref().is_some_and(|resources| *resources != Default::default());
        for (field, present) in [
            ("ports", debug.ports.as_ref().is_some_and(|ports| !ports.is_empty())),
            ("resources", resources),
            ("livenessProbe", debug.liveness_probe.is_some()),
            ("readinessProbe", debug.readiness_probe.is_some()),
            ("startupProbe", debug.startup_probe.is_some()),
            ("lifecycle", debug.lifecycle.is_some()),
        ] {
            if present {
                errors.forbidden(&path.child(field), "cannot be set for an Ephemeral Container");
            }
        }
        for (index, mount) in debug.volume_mounts.iter().flatten().enumerate() {
            let path = path.child("volumeMounts").index(index);
            for (field, value) in [("subPath", &mount.sub_path), ("subPathExpr", &mount.sub_path_expr)] {
                if value.as_ref().is_some_and(|value| !value.is_empty()) {
                    errors.forbidden(&path.child(field), "cannot be set for an Ephemeral Container");
                }
            }
        }
    }
}

fn as_container(debug: &EphemeralContainer) -> Container {
    Container {
        name: debug.name.clone(),
        image: debug.image.clone(),
        image_pull_policy: debug.image_pull_policy.clone(),
        ports: debug.ports.clone(),
        env: debug.env.clone(),
        env_from: debug.env_from.clone(),
        resources: debug.resources.clone(),
        volume_mounts: debug.volume_mounts.clone(),
        volume_devices: debug.volume_devices.clone(),
        security_context: debug.security_context.clone(),
        termination_message_policy: debug.termination_message_policy.clone(),
        ..Container::default()
    }
}

/// What all sorts of containers have in common.
fn common(whole: &Whole<'_>, container: &Container, path: &Path, errors: &mut FieldErrors) {
    checks::required_name(errors, &path.child("name"), Some(&container.name), checks::LABEL);
    let image = container.image.as_deref().unwrap_or_default();
    if image.is_empty() {
        errors.required(&path.child("image"), "");
    } else if whole.of_pod && image.trim() != image {
        errors.invalid(&path.child("image"), image, "must not have leading or trailing whitespace");
    }
    checks::one_of(
        errors,
        &path.child("terminationMessagePolicy"),
        container.termination_message_policy.as_deref(),
        &["File", "FallbackToLogsOnError"],
    );
    ports(container.ports.as_deref().unwrap_or_default(), &path.child("ports"), errors);
    env::validate(container, path, errors);
    volumes::mounts(whole, container, path, errors);
    checks::one_of(
        errors,
        &path.child("imagePullPolicy"),
        container.image_pull_policy.as_deref(),
        &["Always", "IfNotPresent", "Never"],
    );
    if let Some(wanted) = &container.resources {
        resources::of_container(wanted, &whole.claims, &path.child("resources"), errors);
    }
    resize_policy(whole, container, &path.child("resizePolicy"), errors);
    security::container(whole, container, &path.child("securityContext"), errors);
}

fn ports(ports: &[ContainerPort], path: &Path, errors: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let path = path.index(index);
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            if !names::port_name(name).is_empty() {
                checks::name(errors, &path.child("name"), name, names::port_name);
            } else if !seen.insert(name) {
                errors.duplicate(&path.child("name"), name);
            }
        }
        match port.container_port {
            0 => errors.required(&path.child("containerPort"), ""),
            number => checks::port(errors, &path.child("containerPort"), number),
        }
        if let Some(number) = port.host_port.filter(|number| *number != 0) {
            checks::port(errors, &path.child("hostPort"), number);
        }
        checks::protocol(errors, &path.child("protocol"), port.protocol.as_deref());
    }
}

fn host_port_conflicts(container: &Container, taken: &mut BTreeSet<String>, path: &Path, errors: &mut FieldErrors) {
    for (index, port) in container.ports.iter().flatten().enumerate() {
        let Some(number) = port.host_port.filter(|number| *number != 0) else { continue };
        let protocol = port.protocol.as_deref().unwrap_or_default();
        let slot = format!("{protocol}/{}/{number}", port.host_ip.as_deref().unwrap_or_default());
        if taken.contains(&slot) {
            errors.duplicate(&path.child("ports").index(index).child("hostPort"), slot);
        } else {
            taken.insert(slot);
        }
    }
}

fn resize_policy(whole: &Whole<'_>, container: &Container, path: &Path, errors: &mut FieldErrors) {
    let mut seen = BTreeSet::new();
    for (index, policy) in container.resize_policy.iter().flatten().enumerate() {
        if !seen.insert(&policy.resource_name) {
            errors.duplicate(&path.index(index), policy.resource_name.as_str());
        }
        checks::one_of(errors, path, Some(&policy.resource_name), &["cpu", "memory"]);
        checks::one_of(errors, path, Some(&policy.restart_policy), &["NotRequired", "RestartContainer"]);
        if whole.spec.restart_policy.as_deref() == Some("Never") && policy.restart_policy != "NotRequired" {
            let why = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            errors.invalid(path, Value::from(policy.restart_policy.as_str()), why);
        }
    }
}
