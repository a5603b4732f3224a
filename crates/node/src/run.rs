//! Starts a node and keeps its parts together.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::api::{self, Api as KubeletApi};
use crate::client::{self, ClientError};
use crate::config::{Config, KUBELET_PORT};
use crate::event::Recorder;
use crate::image::collect;
use crate::network::{Network, NetworkError};
use crate::node::{Node, Parts};
use crate::register::heartbeat;
use crate::register::machine::Machine;
use crate::{dispatch, listen, logs, services};

/// How often volumes that show objects are compared with them.
const REFRESH: Duration = Duration::from_secs(15);

/// A node that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("containerd's socket {socket} cannot be used")]
    Runtime {
        socket: PathBuf,
        #[source]
        source: cri::Error,
    },
    #[error("could not make the directory {path}; the node needs to be root")]
    Directory {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Api(#[from] api::BindError),
    /// A bug.
    #[error("a part of the node ended by itself")]
    Ended,
}

/// Runs a node until `stop`. Its containers go on; the next run finds them again.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), RunError> {
    let private = [config.state_dir.join("pods"), config.log_dir.clone()];
    for path in private {
        let made = std::fs::create_dir_all(&path);
        made.map_err(|source| RunError::Directory { path, source })?;
    }
    let machine = Machine::read(&config);
    let client = client::connect(&config)?;
    let runtime = cri::Runtime::new(&config.containerd_socket)
        .map_err(|source| RunError::Runtime { socket: config.containerd_socket.clone(), source })?;
    let (events, sender) = Recorder::new(client.clone(), &config.node_name);
    let (publish_services, services) = watch::channel(None);
    let node = Arc::new(Node::new(Parts { config, client, runtime, events, services, machine }));
    let network = Network::bind(&node.config).await?;
    let kubelet_api = bind_api(&node).await?;
    info!(node = node.config.node_name, cluster = node.config.cluster, "node starts");

    let mut parts = JoinSet::new();
    parts.spawn(sender.run(stop.clone()));
    parts.spawn(services::run(node.client.clone(), publish_services, stop.clone()));
    parts.spawn(heartbeat::run(node.clone(), stop.clone()));
    parts.spawn(listen::run(node.clone(), stop.clone()));
    parts.spawn(until(stop.clone(), refresh(node.clone())));
    parts.spawn(until(stop.clone(), logs::run(node.clone())));
    parts.spawn(until(stop.clone(), collect::run(node.clone())));
    parts.spawn(network.run(node.clone(), stop.clone()));
    parts.spawn(api::run(kubelet_api, stop.clone()));
    parts.spawn(dispatch::run(node, stop.clone()));
    let ended = parts.join_next().await;
    let by_itself = !stop.is_cancelled();
    stop.cancel();
    while parts.join_next().await.is_some() {}
    match ended {
        Some(Ok(())) if !by_itself => Ok(()),
        _ => Err(RunError::Ended),
    }
}

/// Binds the kubelet API on the node's address.
async fn bind_api(node: &Arc<Node>) -> Result<KubeletApi, api::BindError> {
    let config = &node.config;
    let files = (config.serving_cert.as_path(), config.serving_key.as_path(), config.ca.as_path());
    let address = (config.node_ip, KUBELET_PORT).into();
    KubeletApi::bind(address, files, &config.node_name, node.runtime.clone(), node.clone()).await
}

async fn until(stop: CancellationToken, part: impl Future<Output = ()>) {
    tokio::select! {
        () = part => {}
        () = stop.cancelled() => {}
    }
}

/// Lets pods' volumes follow the objects that they show, and renews tokens.
async fn refresh(node: Arc<Node>) {
    let mut tick = tokio::time::interval(REFRESH);
    loop {
        tick.tick().await;
        for inbox in node.inboxes() {
            inbox.tell(|news| news.refresh = true);
        }
    }
}
