//! What a cluster is: the content of `cluster.json`.
//!
//! It is decided when the cluster is created and then only read, so that a
//! cluster looks the same after each start. Deliberately absent: anything about
//! its present state, which is always asked from the machine.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use crate::layout::{ClusterDir, Name, make_private_dir, write_atomic};
use crate::network::NetworkConfig;
use crate::{Error, Result};

/// Format of `cluster.json` that this version writes.
const FORMAT: u32 = 1;

/// The configuration of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterConfig {
    /// Version of the file's format.
    pub format: u32,
    /// Name of the cluster, and of its context in kubeconfig.
    pub name: Name,
    /// Its nodes.
    pub nodes: Nodes,
    /// Port of the API server.
    pub api_port: u16,
    /// When it was created (RFC 3339).
    pub created: String,
}

/// The nodes of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, tag = "kind")]
pub enum Nodes {
    /// Nodes with containers: each with its own network namespace and containerd.
    Real {
        /// Each node.
        nodes: Vec<NodeConfig>,
        /// The addresses of the cluster.
        network: NetworkConfig,
    },
    /// Nodes that the server only pretends to have.
    Simulated {
        /// How many.
        count: u32,
    },
}

/// One real node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeConfig {
    /// Name of the Node object.
    pub name: Name,
    /// 1 for the first node: gives its addresses.
    pub index: u8,
}

/// Most real nodes of a cluster: each index gives one /24 of the pod network.
pub const MAX_NODES: u8 = 100;

impl ClusterConfig {
    /// A configuration in the present format.
    #[must_use]
    pub fn new(name: Name, nodes: Nodes, api_port: u16) -> Self {
        let created = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Self { format: FORMAT, name, nodes, api_port, created }
    }

    /// Reads the configuration of a cluster; `None` if there is no such cluster.
    pub fn load(dir: &ClusterDir) -> Result<Option<Self>> {
        let path = dir.config_file();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("read", &path)(error)),
        };
        let damaged = |reason: String| {
            Error::refused(format!(
                "{} cannot be used ({reason}): repair it, or remove the cluster with `shipmate delete`",
                path.display()
            ))
        };
        let config: Self = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if config.format != FORMAT {
            return Err(damaged(format!("format {} is not {FORMAT}", config.format)));
        }
        Ok(Some(config))
    }

    /// Writes the configuration atomically.
    pub fn save(&self, dir: &ClusterDir) -> Result<()> {
        make_private_dir(dir.path())?;
        let mut bytes = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::refused(format!("cannot write cluster.json: {error}")))?;
        bytes.push(b'\n');
        write_atomic(&dir.config_file(), &bytes, 0o600)
    }

    /// The real nodes; none for a simulated cluster.
    #[must_use]
    pub fn real_nodes(&self) -> &[NodeConfig] {
        match &self.nodes {
            Nodes::Real { nodes, .. } => nodes,
            Nodes::Simulated { .. } => &[],
        }
    }

    /// The network; none for a simulated cluster.
    #[must_use]
    pub fn network(&self) -> Option<&NetworkConfig> {
        match &self.nodes {
            Nodes::Real { network, .. } => Some(network),
            Nodes::Simulated { .. } => None,
        }
    }
}

/// Names and numbers for `count` nodes: `node-1`, `node-2` and so on.
pub fn number_nodes(count: u32) -> Result<Vec<NodeConfig>> {
    match u8::try_from(count) {
        Ok(count @ 1..=MAX_NODES) => {
            (1..=count).map(|index| Ok(NodeConfig { name: format!("node-{index}").parse()?, index })).collect()
        }
        _ => Err(Error::refused(format!(
            "a cluster has between 1 and {MAX_NODES} real nodes, not {count}; for more, use `--nodes simulated:{count}`"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Home;

    #[test]
    fn what_is_saved_is_loaded_again() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let network = NetworkConfig::new("10.213.0.0/24".parse().unwrap(), "10.244.0.0/16".parse().unwrap());
        let real = Nodes::Real { nodes: number_nodes(2).unwrap(), network };
        for (name, nodes) in [("real", real), ("fake", Nodes::Simulated { count: 100 })] {
            let config = ClusterConfig::new(name.parse().unwrap(), nodes, 6443);
            let cluster = home.cluster(&config.name);
            assert_eq!(ClusterConfig::load(&cluster).unwrap(), None);
            config.save(&cluster).unwrap();
            assert_eq!(ClusterConfig::load(&cluster).unwrap(), Some(config));
        }
    }

    #[test]
    fn a_damaged_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let cluster = Home::at(dir.path()).cluster(&"x".parse().unwrap());
        make_private_dir(cluster.path()).unwrap();
        for text in ["", "{", "{\"format\":1}", "[]"] {
            fs::write(cluster.config_file(), text).unwrap();
            let message = ClusterConfig::load(&cluster).unwrap_err().to_string();
            assert!(message.contains("cluster.json cannot be used"), "{message}");
        }
    }

    #[test]
    fn the_number_of_nodes_is_limited() {
        assert_eq!(number_nodes(2).unwrap()[1].name.as_str(), "node-2");
        for count in [0, 101, 5000] {
            assert!(number_nodes(count).is_err());
        }
    }
}
