//! The server process of a cluster: API server, controllers and scheduler over one store.
//!
//! Order: open the store and bind the ports, so that what can fail fails before anything runs; then serve; then let
//! controllers in. It ends when it is told to, controllers first.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use api::Change;
use sandbox::config::{ClusterConfig, Nodes};
use sandbox::layout::{ClusterDir, Home, Name};
use sandbox::pki::Pki;
use serde_json::json;
use server::config::{Identity, TokenIssuer};
use server::http::Tls;
use server::{Config, Door, Server, User};
use store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cli::Process;

/// Runs the API server and controllers of a cluster until told to stop.
pub(crate) fn run(arguments: &Process) -> anyhow::Result<()> {
    let (dir, config) = cluster(&arguments.cluster)?;
    super::run(|stop| serve(dir, config, stop))
}

/// The cluster in a directory `HOME/clusters/NAME`.
fn cluster(path: &Path) -> anyhow::Result<(ClusterDir, ClusterConfig)> {
    let name: Name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().parse()?;
    let home = path.ancestors().nth(2).context("the cluster's directory is below no home")?;
    let dir = Home::at(home).cluster(&name);
    match ClusterConfig::load(&dir)? {
        Some(config) => Ok((dir, config)),
        None => bail!("there is no cluster in {}", path.display()),
    }
}

async fn serve(dir: ClusterDir, cluster: ClusterConfig, stop: CancellationToken) -> anyhow::Result<()> {
    std::fs::create_dir_all(dir.data()).with_context(|| format!("make {}", dir.data().display()))?;
    let catalogue = Arc::new(kinds::catalogue());
    let store = Store::open(&dir.data().join("objects.redb"), catalogue)?;
    let listeners = bind(&cluster).await?;
    let (config, tls) = configure(&dir, &cluster)?;
    let control = control::Config { root_ca: config.ca.clone(), started: jiff::Timestamp::now() };
    let server = Server::new(store, kinds::schema::all().clone(), config)?;
    server.bootstrap().await.context("create what every cluster has")?;
    let close = CancellationToken::new();
    let serving = tokio::spawn({
        let (server, close) = (server.clone(), close.clone());
        async move { server.serve(listeners, Some(tls), close).await }
    });
    let door = Door::new(server.clone());
    provide(&door, &cluster).await?;
    tracing::info!(port = cluster.api_port, revision = door.view().revision(), "serving");
    control::run(door, control, stop).await;
    close.cancel();
    serving.await.context("serve the API")
}

/// The API on loopback, and for nodes and pods on the cluster's own bridge.
async fn bind(cluster: &ClusterConfig) -> anyhow::Result<Vec<TcpListener>> {
    let mut addresses = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, cluster.api_port))];
    if let Some(network) = cluster.network() {
        addresses.push(SocketAddr::from((network.gateway(), cluster.api_port)));
    }
    let mut listeners = Vec::new();
    for address in addresses {
        let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
        listeners.push(listener);
    }
    Ok(listeners)
}

fn configure(dir: &ClusterDir, cluster: &ClusterConfig) -> anyhow::Result<(Config, Tls)> {
    let pki = Pki::of(dir);
    let identity = |files: sandbox::pki::KeyFiles| -> anyhow::Result<Identity> {
        let (certificate, key) = files.read()?;
        Ok(Identity { certificate, key })
    };
    let address = cluster.network().map_or(Ipv4Addr::LOCALHOST, |network| network.gateway());
    let mut config = Config::new(SocketAddr::from((address, cluster.api_port)));
    config.ca = std::fs::read_to_string(pki.ca().certificate).context("read the cluster's CA")?;
    config.kubelet_client = identity(pki.apiserver_kubelet_client())?;
    config.tokens = TokenIssuer { signing_key: pki.service_account_key_der()?, ..config.tokens };
    let tls = Tls::new(&identity(pki.apiserver())?, &config.ca)?;
    Ok((config, tls))
}

/// What belongs to a cluster of ours beside what every cluster has: the DNS Service, simulated nodes.
async fn provide(door: &Door, cluster: &ClusterConfig) -> anyhow::Result<()> {
    if cluster.network().is_some() {
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": "kube-dns", "namespace": "kube-system",
                "labels": {"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"},
                "annotations": {"shipmate.dev/served-by": "every node, in its own process"},
            },
            "spec": {
                "clusterIP": super::node::DNS.to_string(),
                "ports": [
                    {"name": "dns", "port": 53, "protocol": "UDP"},
                    {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                ],
            },
        });
        create(door, service).await?;
    }
    if let Nodes::Simulated { count } = cluster.nodes {
        for node in control::simulated::nodes(cluster.name.as_str(), usize::try_from(count)?) {
            create(door, serde_json::to_value(node)?).await?;
        }
    }
    Ok(())
}

async fn create(door: &Door, object: serde_json::Value) -> anyhow::Result<()> {
    match door.commit(&User::apiserver(), Change::Create(object)).await {
        Err(status) if status.reason == api::Reason::AlreadyExists => Ok(()),
        result => Ok(result.map(drop)?),
    }
}
