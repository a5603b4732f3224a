//! What unit tests of several modules need.

use crate::config::Config;

/// A configuration whose paths do not exist.
pub(crate) fn config() -> Config {
    serde_json::from_value(serde_json::json!({
        "nodeName": "node", "cluster": "c", "server": "https://127.0.0.1:6443",
        "ca": "/none", "cert": "/none", "key": "/none", "servingCert": "/none", "servingKey": "/none",
        "nodeIp": "172.31.0.11", "podCidr": "10.244.1.0/24",
        "clusterCidr": "10.244.0.0/16", "serviceCidr": "10.96.0.0/16", "clusterDns": "10.96.0.10",
        "clusterDomain": "cluster.local", "containerdSocket": "/none", "stateDir": "/none", "logDir": "/none",
        "cgroupParent": "/kubepods-c-node", "pauseImage": "shipmate.local/pause:3.6",
    }))
    .unwrap()
}
