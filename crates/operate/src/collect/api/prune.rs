//! What of an object becomes evidence: what rules look at, and nothing that is secret.

use serde_json::{Map, Value, json};

/// The annotation in which `kubectl apply` keeps the whole manifest, values of Secrets included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The configuration of `kubeadm`, the only one that is kept whole.
const KUBEADM: [&str; 2] = ["kubeadm-config", "kubelet-config"];

/// Any object.
pub(super) fn plain(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    metadata.remove("managedFields");
    metadata.remove("selfLink");
    let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) else { return };
    if let Some(applied) = annotations.get_mut(LAST_APPLIED) {
        let manifest: Value = applied.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let kept = json!({"apiVersion": manifest["apiVersion"], "kind": manifest["kind"]});
        *applied = Value::String(kept.to_string());
    }
}

pub(super) fn pod(pod: &mut Value) {
    plain(pod);
    if let Some(spec) = pod.get_mut("spec") {
        pod_spec(spec);
    }
    for list in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
        if let Some(status) = pod.get_mut("status") {
            for status in items(status, list) {
                remove(status, &["volumeMounts", "user", "allocatedResources", "resources", "containerID"]);
            }
        }
    }
}

/// Without the volume of the service account's token, which every pod has, and without secrets in variables.
fn pod_spec(spec: &mut Value) {
    let is_token = |name: &Value| name.as_str().is_some_and(|name| name.starts_with("kube-api-access-"));
    if let Some(volumes) = spec.get_mut("volumes").and_then(Value::as_array_mut) {
        volumes.retain(|volume| !is_token(&volume["name"]));
    }
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for container in items(spec, list) {
            if let Some(mounts) = container.get_mut("volumeMounts").and_then(Value::as_array_mut) {
                mounts.retain(|mount| !is_token(&mount["name"]));
            }
            for variable in items(container, "env") {
                let secret = variable["name"].as_str().is_some_and(doctor::redact::is_secret_name);
                if secret && variable["value"].is_string() {
                    variable["value"] = "REDACTED".into();
                }
            }
            remove(container, &["terminationMessagePath", "terminationMessagePolicy"]);
        }
    }
}

/// Items of a list that may not be there. (Indexing a mutable `Value` would make it.)
fn items<'a>(value: &'a mut Value, list: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten()
}

/// The images of a node are many; pods tell which are used.
pub(super) fn node(node: &mut Value) {
    plain(node);
    if let Some(status) = node.get_mut("status") {
        remove(status, &["images", "volumesAttached", "volumesInUse"]);
    }
}

pub(super) fn event(event: &mut Value) {
    const KEPT: [&str; 13] = [
        "type",
        "reason",
        "message",
        "note",
        "involvedObject",
        "regarding",
        "count",
        "series",
        "firstTimestamp",
        "lastTimestamp",
        "eventTime",
        "source",
        "reportingComponent",
    ];
    let Some(fields) = event.as_object_mut() else { return };
    fields.retain(|key, value| key == "metadata" || (KEPT.contains(&key.as_str()) && !value.is_null()));
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|key, _| ["name", "namespace", "creationTimestamp"].contains(&key.as_str()));
    }
}

/// Names and keys; what stands behind the keys is nobody's business here.
pub(super) fn config_map(map: &mut Value) {
    plain(map);
    let kubeadm = map["metadata"]["namespace"] == "kube-system"
        && map["metadata"]["name"].as_str().is_some_and(|name| KUBEADM.iter().any(|known| name.starts_with(known)));
    if !kubeadm {
        blank(map, &["data", "binaryData"]);
    }
}

/// Name, type and keys. Values never.
pub(super) fn secret(secret: &mut Value) {
    plain(secret);
    blank(secret, &["data", "stringData"]);
}

/// Every value below these fields becomes empty.
fn blank(object: &mut Value, fields: &[&str]) {
    for field in fields {
        for value in object.get_mut(*field).and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
            *value = "".into();
        }
    }
}

/// The template of a ReplicaSet is its Deployment's.
pub(super) fn replica_set(set: &mut Value) {
    plain(set);
    let owned = set["metadata"]["ownerReferences"].is_array();
    if let Some(spec) = set.get_mut("spec").filter(|_| owned) {
        remove(spec, &["template"]);
    }
}

/// Versions of a custom kind, without their schemas.
pub(super) fn definition(definition: &mut Value) {
    plain(definition);
    if let Some(spec) = definition.get_mut("spec") {
        for version in items(spec, "versions") {
            remove(version, &["schema", "additionalPrinterColumns", "selectableFields"]);
        }
    }
}

fn remove(value: &mut Value, fields: &[&str]) {
    if let Some(object) = value.as_object_mut() {
        for field in fields {
            object.remove(*field);
        }
    }
}

/// The registries that a pull secret is for.
pub(super) fn registries(secret: &Value) -> Option<Vec<String>> {
    use base64::Engine as _;
    let (key, nested) = match secret["type"].as_str()? {
        "kubernetes.io/dockerconfigjson" => (".dockerconfigjson", true),
        "kubernetes.io/dockercfg" => (".dockercfg", false),
        _ => return None,
    };
    let data = base64::engine::general_purpose::STANDARD.decode(secret["data"][key].as_str()?).ok()?;
    let config: Value = serde_json::from_slice(&data).ok()?;
    let auths = if nested { config.get("auths")? } else { &config };
    Some(auths.as_object()?.keys().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_secrets_are_gone_and_their_keys_are_there() {
        let applied = json!({"apiVersion": "v1", "kind": "Secret", "data": {"password": "aHVudGVyMg=="}}).to_string();
        let mut object = json!({
            "metadata": {"name": "s", "annotations": {LAST_APPLIED: applied}, "managedFields": [{"a": 1}]},
            "type": "Opaque", "data": {"password": "aHVudGVyMg=="},
        });
        secret(&mut object);
        let text = object.to_string();
        assert!(!text.contains("aHVudGVyMg") && !text.contains("managedFields"), "{text}");
        assert_eq!(object["data"]["password"], "");
        let kept = object["metadata"]["annotations"][LAST_APPLIED].as_str().unwrap();
        assert_eq!(kept, r#"{"apiVersion":"v1","kind":"Secret"}"#);
    }

    #[test]
    fn pull_secrets_tell_their_registries_only() {
        use base64::Engine as _;
        let config = json!({"auths": {"reg.example.com:5000": {"auth": "dTpw"}, "docker.io": {}}}).to_string();
        let data = base64::engine::general_purpose::STANDARD.encode(config);
        let object = json!({"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": data}});
        assert_eq!(registries(&object).unwrap(), ["docker.io", "reg.example.com:5000"]);
        assert_eq!(registries(&json!({"type": "Opaque"})), None);
    }

    #[test]
    fn pods_lose_what_all_pods_have() {
        let mut object = json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [{
                "name": "c", "env": [{"name": "DB_PASSWORD", "value": "x1y2"}, {"name": "MODE", "value": "fast"}],
                "volumeMounts": [{"name": "kube-api-access-abc"}, {"name": "data"}],
            }], "volumes": [{"name": "kube-api-access-abc"}, {"name": "data"}]},
            "status": {"containerStatuses": [{"name": "c", "ready": true, "containerID": "containerd://1"}]},
        });
        pod(&mut object);
        let text = object.to_string();
        assert!(
            !text.contains("x1y2") && !text.contains("kube-api-access") && !text.contains("containerd://"),
            "{text}"
        );
        assert!(text.contains("fast") && text.contains(r#"{"name":"data"}"#) && !text.contains("null"), "{text}");
    }
}
