//! A client for the cluster's API, as its administrator.

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use sandbox::kubeconfig::Access;
use serde_json::json;

/// A kubeconfig with this cluster alone, as JSON (which is YAML).
pub(crate) fn kubeconfig(access: &Access) -> serde_json::Value {
    let name = &access.name;
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {
            "server": access.server, "certificate-authority-data": BASE64.encode(&access.ca),
        }}],
        "users": [{"name": name, "user": {
            "client-certificate-data": BASE64.encode(&access.certificate), "client-key-data": BASE64.encode(&access.key),
        }}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    })
}

/// Connects to a cluster.
pub(crate) async fn connect(access: &Access) -> anyhow::Result<Client> {
    let kubeconfig: Kubeconfig = serde_json::from_value(kubeconfig(access)).context("make a kubeconfig")?;
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Client::try_from(config).context("make an API client")
}

/// Runs `work` with a client, on a runtime of its own.
pub(crate) fn with<T, F>(access: &Access, work: impl FnOnce(Client) -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { work(connect(access).await?).await })
}
