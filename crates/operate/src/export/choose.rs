//! Which objects are left out: those that come by themselves when the others are there.

use serde_json::Value;

use super::kinds::Kind;

/// Another object makes it again.
pub(super) const OWNED: &str = "another object owns it and makes it again";
const SERVER: &str = "the API server makes it";
const CONTROLLERS: &str = "controllers make it";

/// Why an object is left out; `None` if it is exported.
pub(super) fn left_out(kind: &Kind, object: &Value) -> Option<&'static str> {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    let namespace = metadata["namespace"].as_str().unwrap_or_default();
    let label = |key: &str| metadata["labels"][key].as_str();
    let annotation = |key: &str| metadata["annotations"][key].as_str();
    if metadata["ownerReferences"].as_array().is_some_and(|owners| !owners.is_empty()) {
        return Some(OWNED);
    }
    if !metadata["deletionTimestamp"].is_null() {
        return Some("it is being deleted");
    }
    let made_by_server = label("kubernetes.io/bootstrapping") == Some("rbac-defaults")
        || label("kube-aggregator.kubernetes.io/automanaged").is_some()
        || annotation("apf.kubernetes.io/autoupdate-spec") == Some("true");
    if made_by_server {
        return Some(SERVER);
    }
    match (kind.group.as_str(), kind.kind.as_str(), namespace, name) {
        ("", "Namespace", _, "default" | "kube-system" | "kube-public" | "kube-node-lease")
        | ("", "Service" | "Endpoints", "default", "kubernetes")
        | ("discovery.k8s.io", "EndpointSlice", "default", "kubernetes")
        | ("", "ConfigMap", "kube-system", "extension-apiserver-authentication")
        | ("", "ConfigMap", "kube-system", "kube-apiserver-legacy-service-account-token-tracking")
        | ("networking.k8s.io", "ServiceCIDR", _, "kubernetes")
        | ("scheduling.k8s.io", "PriorityClass", _, "system-cluster-critical" | "system-node-critical") => Some(SERVER),
        ("", "ConfigMap", _, "kube-root-ca.crt") => Some(CONTROLLERS),
        ("", "ServiceAccount", _, "default") if is_bare(object) => Some(CONTROLLERS),
        ("", "Endpoints", ..) => {
            let managed = label("endpoints.kubernetes.io/managed-by").is_some()
                || annotation("endpoints.kubernetes.io/last-change-trigger-time").is_some();
            managed.then_some(OWNED)
        }
        ("discovery.k8s.io", "EndpointSlice", ..) => {
            let manager = label("endpointslice.kubernetes.io/managed-by");
            manager.is_some_and(|manager| manager.ends_with("-controller.k8s.io")).then_some(OWNED)
        }
        ("", "PersistentVolume", ..) if annotation("pv.kubernetes.io/provisioned-by").is_some() => {
            Some("it was provisioned for a claim, whose provisioner makes another")
        }
        ("", "Pod", ..) if annotation("kubernetes.io/config.mirror").is_some() => Some("it lies in a file on its node"),
        _ => None,
    }
}

/// A service account as the controller makes it: nobody added anything.
fn is_bare(account: &Value) -> bool {
    let fields = account.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    let extra = fields.filter(|name| !matches!(*name, "apiVersion" | "kind" | "metadata")).count();
    let empty = |name: &str| account["metadata"][name].as_object().is_none_or(serde_json::Map::is_empty);
    extra == 0 && empty("labels") && empty("annotations")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kind(group: &str, kind: &str) -> Kind {
        Kind {
            group: group.to_owned(),
            version: "v1".to_owned(),
            plural: String::new(),
            singular: String::new(),
            short: Vec::new(),
            kind: kind.to_owned(),
            namespaced: true,
            creatable: true,
        }
    }

    #[test]
    fn what_comes_by_itself_is_left_out() {
        let cases = [
            ("apps", "ReplicaSet", json!({"name": "a", "ownerReferences": [{"kind": "Deployment"}]})),
            ("", "ConfigMap", json!({"name": "kube-root-ca.crt", "namespace": "shop"})),
            ("", "ServiceAccount", json!({"name": "default", "namespace": "shop"})),
            ("", "Service", json!({"name": "kubernetes", "namespace": "default"})),
            (
                "rbac.authorization.k8s.io",
                "ClusterRole",
                json!({"name": "admin", "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}),
            ),
            ("", "PersistentVolume", json!({"name": "a", "annotations": {"pv.kubernetes.io/provisioned-by": "x"}})),
            ("", "ConfigMap", json!({"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"})),
        ];
        for (group, name, metadata) in cases {
            let object = json!({"metadata": metadata});
            assert!(left_out(&kind(group, name), &object).is_some(), "{name} {object}");
        }
    }

    #[test]
    fn what_people_made_stays() {
        let cases = [
            ("", "ConfigMap", json!({"metadata": {"name": "a", "ownerReferences": []}})),
            ("", "ServiceAccount", json!({"metadata": {"name": "default"}, "imagePullSecrets": [{"name": "pull"}]})),
            ("", "ServiceAccount", json!({"metadata": {"name": "default", "labels": {"a": "b"}}})),
            ("", "Service", json!({"metadata": {"name": "kubernetes", "namespace": "shop"}})),
            ("", "Endpoints", json!({"metadata": {"name": "outside"}})),
            ("", "PersistentVolume", json!({"metadata": {"name": "static"}})),
        ];
        for (group, name, object) in cases {
            assert_eq!(left_out(&kind(group, name), &object), None, "{name} {object}");
        }
    }
}
