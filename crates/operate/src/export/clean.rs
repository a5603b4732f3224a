//! Takes out of an object what the cluster put in: what is left is what somebody meant.
//!
//! A value that a controller assigns stays where somebody chose it: kubectl's record of the last apply tells.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Secrets;

/// kubectl's record of what was applied; it holds a secret's values.
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Names the keys of a secret whose values are not in the file.
pub const OMITTED: &str = "shipmate.dev/omitted-values";

/// What the server keeps in `metadata`, and what is true in one cluster only.
const METADATA: &[&str] = &[
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Annotations that controllers and kubectl keep for themselves.
const ANNOTATIONS: &[&str] = &[
    LAST_APPLIED,
    "autoscaling.alpha.kubernetes.io/conditions",
    "autoscaling.alpha.kubernetes.io/current-metrics",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/revision-history",
    "deprecated.daemonset.template.generation",
    "kubernetes.io/service-account.uid",
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "volume.beta.kubernetes.io/storage-provisioner",
    "volume.kubernetes.io/selected-node",
    "volume.kubernetes.io/storage-provisioner",
];

/// Labels by which a job finds its pods.
const JOB_LABELS: &[&str] =
    &["batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name"];

/// Prefix of the volume with a service account's token, which admission adds to pods.
const TOKEN_VOLUME: &str = "kube-api-access-";

/// Paths of what is taken out of objects of every kind.
pub(super) fn everywhere() -> BTreeSet<String> {
    let metadata = METADATA.iter().map(|name| format!("metadata.{name}"));
    let annotations = ANNOTATIONS.iter().map(|name| format!("metadata.annotations[{name}]"));
    metadata.chain(annotations).chain(["status".to_owned(), "metadata.finalizers of Kubernetes".to_owned()]).collect()
}

/// Cleans an object in place. Paths of what its kind made this take out are added to `removed`; for the others there is
/// [`everywhere`].
pub fn clean(object: &mut Value, removed: &mut BTreeSet<String>) {
    let applied = last_applied(object);
    let mut cleaner = Cleaner { object, removed };
    by_kind(&mut cleaner, &applied);
    let mut cleaner = Cleaner { object, removed: &mut BTreeSet::new() };
    cleaner.take(&["status"]);
    for name in METADATA {
        cleaner.take(&["metadata", name]);
    }
    for name in ANNOTATIONS {
        cleaner.take(&["metadata", "annotations", name]);
    }
    cleaner.finalizers();
    for name in ["annotations", "labels", "finalizers"] {
        cleaner.drop_empty(&["metadata", name]);
    }
}

/// Takes a secret's values out of it, and notes whose they were. The record of the last apply goes in any case.
pub fn hide(object: &mut Value, secrets: Secrets) {
    if let Some(annotations) = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
    if secrets != Secrets::Omit {
        return;
    }
    let Some(fields) = object.as_object_mut() else { return };
    let mut keys = BTreeSet::new();
    for field in ["data", "stringData"] {
        if let Some(Value::Object(values)) = fields.remove(field) {
            keys.extend(values.into_iter().map(|(key, _)| key));
        }
    }
    if !keys.is_empty() {
        let keys: Vec<String> = keys.into_iter().collect();
        annotate(object, OMITTED, &keys.join(","));
    }
}

/// An object of the cluster as its file would have it, with a secret's values.
pub(super) fn as_file(object: &mut Value, is_secret: bool) {
    clean(object, &mut BTreeSet::new());
    if is_secret {
        hide(object, Secrets::Plain);
    }
}

fn annotate(object: &mut Value, key: &str, value: &str) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(Map::new()));
    if annotations.is_null() {
        *annotations = Value::Object(Map::new());
    }
    annotations[key] = value.into();
}

fn last_applied(object: &Value) -> Value {
    let text = object["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}

fn by_kind(cleaner: &mut Cleaner<'_>, applied: &Value) {
    let group = cleaner.object["apiVersion"].as_str().and_then(|version| version.split_once('/'));
    let group = group.map(|(group, _)| group.to_owned()).unwrap_or_default();
    let kind = cleaner.object["kind"].as_str().unwrap_or_default().to_owned();
    match (group.as_str(), kind.as_str()) {
        ("", "Service") => service(cleaner, applied),
        ("", "PersistentVolumeClaim") => {
            let chosen = &cleaner.object["metadata"]["annotations"]["pv.kubernetes.io/bound-by-controller"];
            if !chosen.is_null() {
                cleaner.take(&["spec", "volumeName"]);
            }
        }
        ("", "PersistentVolume") => {
            let chosen = &cleaner.object["metadata"]["annotations"]["pv.kubernetes.io/bound-by-controller"];
            if chosen.is_null() {
                cleaner.take(&["spec", "claimRef", "uid"]);
                cleaner.take(&["spec", "claimRef", "resourceVersion"]);
            } else {
                cleaner.take(&["spec", "claimRef"]);
            }
        }
        ("", "Namespace") => {
            cleaner.take(&["metadata", "labels", "kubernetes.io/metadata.name"]);
            cleaner.take(&["spec", "finalizers"]);
            cleaner.drop_empty(&["spec"]);
        }
        ("", "Pod") => pod(cleaner, applied),
        ("", "ServiceAccount") => service_account(cleaner),
        ("", "Secret") if cleaner.object["type"] == "kubernetes.io/service-account-token" => cleaner.take(&["data"]),
        ("batch", "Job") => job(cleaner),
        _ => {}
    }
    for template in [&["spec", "template"][..], &["spec", "jobTemplate"], &["spec", "jobTemplate", "spec", "template"]]
    {
        let metadata: Vec<&str> = template.iter().copied().chain(["metadata"]).collect();
        let time: Vec<&str> = metadata.iter().copied().chain(["creationTimestamp"]).collect();
        if cleaner.at(&time).is_some_and(Value::is_null) {
            cleaner.take(&time);
        }
        cleaner.drop_empty(&metadata);
    }
}

fn service(cleaner: &mut Cleaner<'_>, applied: &Value) {
    let headless = cleaner.object["spec"]["clusterIP"] == "None";
    if !headless && applied["spec"]["clusterIP"].is_null() && applied["spec"]["clusterIPs"].is_null() {
        cleaner.take(&["spec", "clusterIP"]);
        cleaner.take(&["spec", "clusterIPs"]);
    }
    if applied["spec"]["healthCheckNodePort"].is_null() {
        cleaner.take(&["spec", "healthCheckNodePort"]);
    }
    let chosen: Vec<(Value, Value)> = applied["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|port| !port["nodePort"].is_null())
        .map(|port| (port["port"].clone(), port["nodePort"].clone()))
        .collect();
    let ports = cleaner.object.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten();
    for port in ports.filter(|port| !chosen.contains(&(port["port"].clone(), port["nodePort"].clone()))) {
        if port.as_object_mut().is_some_and(|port| port.remove("nodePort").is_some()) {
            cleaner.removed.insert("spec.ports[].nodePort".to_owned());
        }
    }
}

fn pod(cleaner: &mut Cleaner<'_>, applied: &Value) {
    if applied["spec"]["nodeName"].is_null() {
        cleaner.take(&["spec", "nodeName"]);
    }
    // Admission computes both from the class.
    cleaner.take(&["spec", "priority"]);
    cleaner.take(&["spec", "preemptionPolicy"]);
    let is_token = |one: &Value| one["name"].as_str().is_some_and(|name| name.starts_with(TOKEN_VOLUME));
    cleaner.take_items(&["spec"], "volumes", is_token);
    for field in ["containers", "initContainers", "ephemeralContainers"] {
        let count = cleaner.object["spec"][field].as_array().map_or(0, Vec::len);
        for number in 0..count {
            // It is there: it was counted.
            let container = &mut cleaner.object["spec"][field][number];
            if take_items(container, "volumeMounts", is_token) {
                cleaner.removed.insert(format!("spec.{field}[].volumeMounts[] of the token"));
            }
        }
    }
}

fn service_account(cleaner: &mut Cleaner<'_>) {
    let name = cleaner.object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let is_token = |one: &Value| {
        let rest = one["name"].as_str().and_then(|secret| secret.strip_prefix(&format!("{name}-token-")));
        rest.is_some_and(|rest| rest.len() == 5)
    };
    cleaner.take_items(&[], "secrets", is_token);
}

fn job(cleaner: &mut Cleaner<'_>) {
    if cleaner.object["spec"]["manualSelector"] == true {
        return;
    }
    cleaner.take(&["spec", "selector"]);
    for label in JOB_LABELS {
        cleaner.take(&["metadata", "labels", label]);
        cleaner.take(&["spec", "template", "metadata", "labels", label]);
    }
    cleaner.drop_empty(&["spec", "template", "metadata", "labels"]);
    cleaner.drop_empty(&["spec", "template", "metadata"]);
}

/// An object, and the paths of what was taken out of it.
struct Cleaner<'a> {
    object: &'a mut Value,
    removed: &'a mut BTreeSet<String>,
}

impl Cleaner<'_> {
    fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(&*self.object, |value, name| value.get(name))
    }

    fn parent(&mut self, path: &[&str]) -> Option<&mut Map<String, Value>> {
        let mut value = &mut *self.object;
        for name in path {
            value = value.get_mut(name)?;
        }
        value.as_object_mut()
    }

    fn take(&mut self, path: &[&str]) {
        let Some((last, parent)) = path.split_last() else { return };
        if self.parent(parent).is_some_and(|parent| parent.remove(*last).is_some()) {
            let key = if last.contains('.') { format!("[{last}]") } else { format!(".{last}") };
            self.removed.insert(format!("{}{key}", parent.join(".")).trim_start_matches('.').to_owned());
        }
    }

    /// An empty container says nothing.
    fn drop_empty(&mut self, path: &[&str]) {
        let Some((last, parent)) = path.split_last() else { return };
        let Some(parent) = self.parent(parent) else { return };
        let empty = match parent.get(*last) {
            Some(Value::Object(fields)) => fields.is_empty(),
            Some(Value::Array(items)) => items.is_empty(),
            Some(Value::Null) => true,
            _ => false,
        };
        if empty {
            parent.remove(*last);
        }
    }

    fn take_items(&mut self, parent: &[&str], name: &str, which: impl Fn(&Value) -> bool) {
        let mut value = &mut *self.object;
        for step in parent {
            let Some(next) = value.get_mut(step) else { return };
            value = next;
        }
        if take_items(value, name, which) {
            self.removed.insert(format!("{}.{name}[] of tokens", parent.join(".")).trim_start_matches('.').to_owned());
        }
    }

    /// Kubernetes' own finalizers are set again where they are needed.
    fn finalizers(&mut self) {
        let own = |one: &Value| {
            let name = one.as_str().unwrap_or_default();
            name.starts_with("kubernetes.io/") || matches!(name, "foregroundDeletion" | "orphan")
        };
        let metadata = self.object.get_mut("metadata");
        if let Some(metadata) = metadata {
            take_items(metadata, "finalizers", own);
        }
    }
}

/// Takes items out of a list, and the list if nothing is left in it.
fn take_items(parent: &mut Value, name: &str, which: impl Fn(&Value) -> bool) -> bool {
    let Some(Value::Array(items)) = parent.get_mut(name) else { return false };
    let before = items.len();
    items.retain(|one| !which(one));
    let taken = items.len() < before;
    if items.is_empty()
        && taken
        && let Some(parent) = parent.as_object_mut()
    {
        parent.remove(name);
    }
    taken
}

#[cfg(test)]
mod tests;
