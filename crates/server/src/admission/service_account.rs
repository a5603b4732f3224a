//! ServiceAccount: every pod runs as one, and finds its token, the cluster's CA and its namespace in a volume.

use api::{Status, View};
use k8s_openapi::api::core::v1::ServiceAccount;
use serde_json::{Value, json};

use super::Admit;
use super::pod::containers_mut;
use crate::write::meta::suffix;

/// Where containers find the token.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How long a token is good for; the kubelet renews it before. The odd seconds tell it from tokens that users ask for.
const TOKEN_SECONDS: i64 = 3607;

/// The service account that a pod names.
fn account_name(pod: &Value) -> &str {
    let named = |field: &str| pod["spec"][field].as_str().filter(|name| !name.is_empty());
    named("serviceAccountName").or_else(|| named("serviceAccount")).unwrap_or("default")
}

/// Whether there is nothing to wait for before a pod is created.
pub(super) fn is_there(view: &View, namespace: &str, pod: &Value) -> bool {
    account_name(pod) != "default"
        || view.get::<ServiceAccount>(namespace, "default").is_some()
        || view.get::<k8s_openapi::api::core::v1::Namespace>("", namespace).is_none()
}

/// Gives a new pod its service account, and the volume with its token.
pub(super) fn mutate(admit: &Admit<'_>, pod: &mut Value) -> Result<(), Status> {
    if pod["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_string() {
        return Ok(()); // A mirror pod is what a kubelet runs from its own files; it has no identity here.
    }
    let (namespace, name) = (admit.op.namespace, account_name(pod).to_owned());
    let Some(account) = admit.view.get::<ServiceAccount>(namespace, &name) else {
        return Err(admit.forbidden(
            pod,
            &format!("error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found"),
        ));
    };
    pod["spec"]["serviceAccountName"] = json!(name);
    pod["spec"]["serviceAccount"] = json!(name);
    let automount = pod["spec"]["automountServiceAccountToken"].as_bool();
    if automount.or(account.automount_service_account_token).unwrap_or(true) {
        mount_token(pod);
    }
    let no_secrets = pod["spec"]["imagePullSecrets"].as_array().is_none_or(Vec::is_empty);
    if let Some(secrets) = account.image_pull_secrets.as_ref().filter(|secrets| no_secrets && !secrets.is_empty()) {
        pod["spec"]["imagePullSecrets"] = json!(secrets);
    }
    Ok(())
}

/// Mounts a projected token into every container that has nothing at its place.
fn mount_token(pod: &mut Value) {
    let lists = ["initContainers", "containers"];
    let unmounted = |container: &Value| {
        let mounts = container["volumeMounts"].as_array().into_iter().flatten();
        !mounts.into_iter().any(|mount| mount["mountPath"] == MOUNT_PATH)
    };
    let containers = |list: &str| pod["spec"][list].as_array().into_iter().flatten().any(unmounted);
    if !lists.iter().any(|list| containers(list)) {
        return;
    }
    let own = pod["spec"]["volumes"].as_array().into_iter().flatten().find_map(|volume| {
        volume["name"].as_str().filter(|name| name.starts_with("kube-api-access-")).map(str::to_owned)
    });
    let volume = own.clone().unwrap_or_else(|| format!("kube-api-access-{}", suffix()));
    for list in lists {
        for container in containers_mut(pod, list).filter(|one| unmounted(one)) {
            if !container["volumeMounts"].is_array() {
                container["volumeMounts"] = json!([]);
            }
            if let Some(mounts) = container["volumeMounts"].as_array_mut() {
                mounts.push(json!({"name": volume, "readOnly": true, "mountPath": MOUNT_PATH}));
            }
        }
    }
    if own.is_some() {
        return;
    }
    if !pod["spec"]["volumes"].is_array() {
        pod["spec"]["volumes"] = json!([]);
    }
    if let Some(volumes) = pod["spec"]["volumes"].as_array_mut() {
        volumes.push(token_volume(&volume));
    }
}

fn token_volume(name: &str) -> Value {
    json!({
        "name": name,
        "projected": {
            "defaultMode": 0o644,
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [{
                    "path": "namespace",
                    "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"},
                }]}},
            ],
        },
    })
}
