//! Defaults of pods and of pod specs wherever they stand.
//!
//! A template gets only what every pod spec gets; what only pods get ([`pod`]) appears when a pod is made of it, so
//! that templates stay as people wrote them.

use api::Quantity;
use serde_json::{Value, json};

use crate::value::{at, deep, default, default_text, each, has, object, put, quantity, text};

/// Permission bits of projected files: 0644.
const FILE_MODE: i64 = 0o644;

/// Defaults of a pod.
pub fn pod(pod: &mut Value) {
    at(pod, "status").into_iter().for_each(addresses);
    let Some(pod_spec) = object(pod, "spec") else { return };
    spec(pod_spec);
    for containers in ["containers", "initContainers"] {
        each(pod_spec, containers).for_each(requests_from_limits);
    }
    pod_requests(pod_spec);
    default(pod_spec, "enableServiceLinks", true);
    if pod_spec["hostNetwork"] == true {
        for containers in ["containers", "initContainers"] {
            each(pod_spec, containers).for_each(host_ports);
        }
    }
}

/// `podIP` is the first of `podIPs`; who writes the one means both.
fn addresses(status: &mut Value) {
    let (one, first) = (status["podIP"].clone(), status["podIPs"][0]["ip"].clone());
    if !text(status, "podIP").is_empty() && first != one {
        put(status, "podIPs", json!([{ "ip": one }]));
    } else if first.is_string() {
        put(status, "podIP", first);
    }
}

/// Defaults of a pod spec in any object.
pub fn spec(spec: &mut Value) {
    if !spec.is_object() {
        return;
    }
    // `serviceAccount` is the old name of `serviceAccountName`; both are always there.
    let names = [text(spec, "serviceAccountName"), text(spec, "serviceAccount")];
    let account = names.into_iter().find(|name| !name.is_empty()).map(Value::from);
    if let Some(account) = account {
        put(spec, "serviceAccountName", account.clone());
        put(spec, "serviceAccount", account);
    }
    default_text(spec, "dnsPolicy", "ClusterFirst");
    default_text(spec, "restartPolicy", "Always");
    default(spec, "securityContext", json!({}));
    default(spec, "terminationGracePeriodSeconds", 30);
    default_text(spec, "schedulerName", "default-scheduler");
    for containers in ["initContainers", "containers", "ephemeralContainers"] {
        each(spec, containers).for_each(container);
    }
    each(spec, "volumes").for_each(volume);
    quantities(spec, "overhead");
    at(spec, "resources").into_iter().for_each(resources);
}

fn container(container: &mut Value) {
    let policy = pull_policy(text(container, "image"));
    default_text(container, "imagePullPolicy", policy);
    default_text(container, "terminationMessagePath", "/dev/termination-log");
    default_text(container, "terminationMessagePolicy", "File");
    default(container, "resources", json!({}));
    at(container, "resources").into_iter().for_each(resources);
    each(container, "ports").for_each(|port| default_text(port, "protocol", "TCP"));
    for variable in each(container, "env") {
        at(variable, "valueFrom").into_iter().for_each(field_source);
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        at(container, name).into_iter().for_each(probe);
    }
    for hook in ["lifecycle.postStart.httpGet", "lifecycle.preStop.httpGet"] {
        deep(container, hook).into_iter().for_each(http_get);
    }
}

/// `Always` for images of a tag that moves, `IfNotPresent` for all others.
fn pull_policy(image: &str) -> &'static str {
    let last = image.rsplit('/').next().unwrap_or_default();
    let moving = !image.is_empty()
        && match (last.split_once('@'), last.split_once(':')) {
            (Some((name, _)), _) => name.ends_with(":latest"),
            (None, Some((_, tag))) => tag == "latest",
            (None, None) => true,
        };
    if moving { "Always" } else { "IfNotPresent" }
}

/// What `env[].valueFrom` and the items of downward API volumes have in common.
fn field_source(source: &mut Value) {
    at(source, "fieldRef").into_iter().for_each(|field| default_text(field, "apiVersion", "v1"));
    at(source, "resourceFieldRef").into_iter().for_each(|field| default(field, "divisor", "0"));
}

fn probe(probe: &mut Value) {
    for (field, value) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        if probe[field] == 0 {
            put(probe, field, Value::Null);
        }
        default(probe, field, value);
    }
    at(probe, "httpGet").into_iter().for_each(http_get);
    at(probe, "grpc").into_iter().for_each(|grpc| default(grpc, "service", ""));
}

fn http_get(action: &mut Value) {
    default_text(action, "path", "/");
    default_text(action, "scheme", "HTTP");
}

fn volume(volume: &mut Value) {
    let Some(fields) = volume.as_object() else { return };
    if fields.iter().all(|(field, source)| field == "name" || source.is_null()) {
        put(volume, "emptyDir", json!({}));
    }
    for (source, field, value) in [
        ("secret", "defaultMode", json!(FILE_MODE)),
        ("configMap", "defaultMode", json!(FILE_MODE)),
        ("downwardAPI", "defaultMode", json!(FILE_MODE)),
        ("projected", "defaultMode", json!(FILE_MODE)),
        ("hostPath", "type", json!("")),
        ("iscsi", "iscsiInterface", json!("default")),
        ("rbd", "pool", json!("rbd")),
        ("rbd", "user", json!("admin")),
        ("rbd", "keyring", json!("/etc/ceph/keyring")),
        ("azureDisk", "cachingMode", json!("ReadWrite")),
        ("azureDisk", "kind", json!("Shared")),
        ("azureDisk", "fsType", json!("ext4")),
        ("azureDisk", "readOnly", json!(false)),
        ("scaleIO", "storageMode", json!("ThinProvisioned")),
        ("scaleIO", "fsType", json!("xfs")),
    ] {
        at(volume, source).into_iter().for_each(|source| default(source, field, value.clone()));
    }
    if let Some(image) = at(volume, "image") {
        let policy = pull_policy(text(image, "reference"));
        default_text(image, "pullPolicy", policy);
    }
    at(volume, "downwardAPI").into_iter().flat_map(|source| each(source, "items")).for_each(field_source);
    for source in at(volume, "projected").into_iter().flat_map(|source| each(source, "sources")) {
        at(source, "serviceAccountToken").into_iter().for_each(|token| default(token, "expirationSeconds", 3600));
        at(source, "downwardAPI").into_iter().flat_map(|source| each(source, "items")).for_each(field_source);
    }
    deep(volume, "ephemeral.volumeClaimTemplate.spec").into_iter().for_each(claim_spec);
}

/// Defaults of the spec of a PersistentVolumeClaim, which pods and StatefulSets carry as a template.
pub fn claim_spec(spec: &mut Value) {
    default_text(spec, "volumeMode", "Filesystem");
    at(spec, "resources").into_iter().for_each(resources);
}

/// Rounds the amounts of a `ResourceRequirements`.
fn resources(resources: &mut Value) {
    quantities(resources, "limits");
    quantities(resources, "requests");
}

/// Rounds amounts up to thousandths, the finest step that is kept; numbers become text.
pub fn quantities(value: &mut Value, field: &str) {
    let Some(amounts) = at(value, field).and_then(Value::as_object_mut) else { return };
    for amount in amounts.values_mut() {
        let Some(exact) = quantity(amount) else { continue };
        if amount.is_number() {
            *amount = Value::from(amount.to_string());
        }
        let rounded = Quantity::milli(exact.as_milli());
        if rounded > exact {
            *amount = Value::from(rounded.to_string());
        }
    }
}

/// A container with limits but no requests wants as much as it may have.
fn requests_from_limits(container: &mut Value) {
    let Some(resources) = at(container, "resources") else { return };
    let Some(limits) = at(resources, "limits").map(|limits| limits.clone()) else { return };
    let Some(requests) = object(resources, "requests") else { return };
    for (name, amount) in limits.as_object().into_iter().flatten() {
        default(requests, name, amount.clone());
    }
}

/// Requests of the whole pod, when it has limits as a whole: what its containers request, or else the limits
/// (KEP-2837).
fn pod_requests(spec: &mut Value) {
    let Some(limits) = deep(spec, "resources.limits").and_then(|limits| limits.as_object().cloned()) else { return };
    for (name, limit) in
        limits.iter().filter(|(name, _)| ["cpu", "memory"].contains(&name.as_str()) || name.starts_with("hugepages-"))
    {
        let of_containers = container_requests(spec, name);
        let Some(requests) = at(spec, "resources").and_then(|resources| object(resources, "requests")) else { return };
        if !has(requests, name) {
            put(requests, name.as_str(), of_containers.unwrap_or_else(|| limit.clone()));
        }
    }
}

/// What the containers of a pod request of one resource at most at the same time; `None` when nobody asks for it.
fn container_requests(spec: &Value, name: &str) -> Option<Value> {
    let request = |container: &Value| quantity(&container["resources"]["requests"][name]);
    let list = |field: &str| spec[field].as_array().map(Vec::as_slice).unwrap_or_default();
    let (mut sidecars, mut peak, mut asked) = (Quantity::ZERO, Quantity::ZERO, false);
    for container in list("initContainers") {
        let Some(amount) = request(container) else { continue };
        asked = true;
        peak = peak.max(sidecars + amount);
        if container["restartPolicy"] == "Always" {
            sidecars += amount;
        }
    }
    let regular: Vec<Quantity> = list("containers").iter().filter_map(request).collect();
    asked |= !regular.is_empty();
    asked.then(|| Value::from(peak.max(sidecars + regular.into_iter().sum()).to_string()))
}

/// With the host's network a container's port is the host's.
fn host_ports(container: &mut Value) {
    for port in each(container, "ports") {
        if port["hostPort"].is_null() || port["hostPort"] == 0 {
            let number = port["containerPort"].clone();
            if !number.is_null() {
                put(port, "hostPort", number);
            }
        }
    }
}
