//! The sample web application: a Deployment and a Service that shows it on a port of the node.

use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Service;
use kube::api::PostParams;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client};
use sandbox::config::ClusterConfig;
use sandbox::images;
use serde_json::{Value, json};

/// Name of everything that belongs to it.
const NAME: &str = "web";
/// How long it may take to run.
const READY: Duration = Duration::from_secs(60);

/// Creates what is missing of it, waits until it is available, and gives its URL.
pub(super) async fn deploy(client: Client, cluster: &ClusterConfig) -> anyhow::Result<String> {
    let deployments: Api<Deployment> = Api::default_namespaced(client.clone());
    let services: Api<Service> = Api::default_namespaced(client);
    create(&deployments, deployment()).await.context("create the sample's Deployment")?;
    create(&services, service()).await.context("create the sample's Service")?;
    let Some(network) = cluster.network() else {
        return Ok("no address: the nodes are simulated".to_owned());
    };
    wait_available(deployments).await?;
    let service = services.get(NAME).await.context("read the sample's Service")?;
    let port = service.spec.and_then(|spec| spec.ports).and_then(|ports| ports.first()?.node_port);
    let node = cluster.real_nodes().first().context("the cluster has no nodes")?;
    Ok(format!("http://{}:{}", network.node_ip(node), port.context("the sample's Service has no node port")?))
}

/// What to try, for somebody who has just started a cluster.
pub(super) fn what_next(url: &str) -> String {
    let next = images::web_reference("2.0");
    format!(
        "
The sample application answers at {url}

Try next:
  kubectl get pods -o wide                    # where it runs
  curl {url}/hostname          # which pod answers; ask again
  kubectl scale deployment {NAME} --replicas 4  # more pods
  kubectl set image deployment/{NAME} {NAME}={next}   # a new version
  kubectl rollout status deployment/{NAME}      # ... as it comes
  kubectl rollout undo deployment/{NAME}        # ... and back
  kubectl logs deployment/{NAME}                # what it says
  shipmate status                             # what runs on this machine
  shipmate delete                             # and it is gone
"
    )
}

async fn create<K>(api: &Api<K>, object: Value) -> anyhow::Result<()>
where
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    match api.create(&PostParams::default(), &serde_json::from_value(object)?).await {
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => Ok(()),
        result => Ok(result.map(drop)?),
    }
}

async fn wait_available(deployments: Api<Deployment>) -> anyhow::Result<()> {
    let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
    let mut events = std::pin::pin!(watcher(deployments, config).default_backoff().applied_objects());
    let available = async {
        while let Some(event) = events.next().await {
            let status = event.ok().and_then(|deployment| deployment.status);
            let conditions = status.and_then(|status| status.conditions).unwrap_or_default();
            if conditions.iter().any(|condition| {
                condition.type_.as_deref() == Some("Available") && condition.status.as_deref() == Some("True")
            }) {
                return;
            }
        }
    };
    if tokio::time::timeout(READY, available).await.is_err() {
        bail!("the sample application is not available after {} s: `kubectl describe pods` says why", READY.as_secs());
    }
    Ok(())
}

fn deployment() -> Value {
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": "http"}, "periodSeconds": 5});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": NAME, "labels": {"app": NAME}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": NAME}},
            "template": {
                "metadata": {"labels": {"app": NAME}},
                "spec": {"containers": [{
                    "name": NAME,
                    "image": images::web_reference("1.0"),
                    "ports": [{"name": "http", "containerPort": 8080}],
                    "readinessProbe": probe("/readyz"),
                    "livenessProbe": probe("/healthz"),
                    "env": [
                        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                        {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
                        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                        {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                    ],
                    "resources": {"requests": {"cpu": "10m", "memory": "8Mi"}, "limits": {"memory": "64Mi"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": false,
                        "readOnlyRootFilesystem": true,
                        "runAsNonRoot": true,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }]},
            },
        },
    })
}

fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": NAME, "labels": {"app": NAME}},
        "spec": {"type": "NodePort", "selector": {"app": NAME}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    })
}
