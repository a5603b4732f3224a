//! What a node must be told to start.
//!
//! The file is written by whoever starts the node (`shipmate node --config FILE`), as JSON.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The port of the kubelet API, as on any node.
pub(crate) const KUBELET_PORT: u16 = 10250;

/// The configuration of one node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The Node object's name.
    pub node_name: String,
    /// The cluster's name; it appears only in logs.
    pub cluster: String,
    /// The API server: `https://HOST:PORT`.
    pub server: String,
    /// The CA that signed the API server's certificate and that of its kubelet client, PEM.
    pub ca: PathBuf,
    /// This node's client certificate (`system:node:NAME` in `system:nodes`), PEM.
    pub cert: PathBuf,
    /// The client certificate's key, PEM.
    pub key: PathBuf,
    /// The certificate of the kubelet API on port 10250, PEM.
    pub serving_cert: PathBuf,
    /// Its key, PEM.
    pub serving_key: PathBuf,
    /// The node's InternalIP.
    pub node_ip: IpAddr,
    /// The addresses of this node's pods, `10.244.N.0/24`.
    pub pod_cidr: String,
    /// The addresses of all nodes' pods, `10.244.0.0/16`.
    pub cluster_cidr: String,
    /// The addresses of services, `10.96.0.0/16`.
    pub service_cidr: String,
    /// The cluster DNS service.
    pub cluster_dns: IpAddr,
    /// The domain of the cluster's services, `cluster.local`.
    pub cluster_domain: String,
    /// The unix socket of this node's own containerd.
    pub containerd_socket: PathBuf,
    /// Where pods' volumes and files are kept; must outlive the node process.
    pub state_dir: PathBuf,
    /// Container logs: `LOG_DIR/NAMESPACE_NAME_UID/CONTAINER/N.log`.
    pub log_dir: PathBuf,
    /// The cgroup of all pods, absolute within each hierarchy: `/kubepods-CLUSTER-NODE`.
    pub cgroup_parent: String,
    /// The image of pause containers; never removed by image garbage collection.
    pub pause_image: String,
    /// Labels for the Node object besides the usual ones.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Overrides of what the machine has: `cpu`, `memory`, `pods`, `ephemeral-storage`.
    #[serde(default)]
    pub capacity: BTreeMap<String, String>,
}

impl Config {
    /// The directory of one pod's volumes and files.
    pub(crate) fn pod_dir(&self, uid: &str) -> PathBuf {
        self.state_dir.join("pods").join(uid)
    }

    /// The directory of one pod's logs.
    pub(crate) fn pod_log_dir(&self, namespace: &str, name: &str, uid: &str) -> PathBuf {
        self.log_dir.join(format!("{namespace}_{name}_{uid}"))
    }
}
