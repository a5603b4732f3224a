//! What changes are made on.

use std::sync::Arc;

use crate::access::{Access, Local};

/// The nodes that can be reached, the API, and this machine.
pub struct Ground {
    nodes: Vec<Arc<dyn Access>>,
    client: Option<kube::Client>,
    here: Local,
}

impl Ground {
    /// This machine alone.
    pub fn here() -> Self {
        Self { nodes: Vec::new(), client: None, here: Local::new("this machine") }
    }

    /// Adds a way onto a node.
    #[must_use]
    pub fn with_node(mut self, node: Arc<dyn Access>) -> Self {
        self.nodes.push(node);
        self
    }

    /// Adds the API, with the rights of the user.
    #[must_use]
    pub fn with_client(mut self, client: kube::Client) -> Self {
        self.client = Some(client);
        self
    }

    /// The way onto a node; without a node, this machine.
    pub fn access(&self, node: Option<&str>) -> Option<&dyn Access> {
        match node {
            None => Some(&self.here),
            Some(name) => self.nodes.iter().find(|node| node.node() == name).map(AsRef::as_ref),
        }
    }

    /// The API.
    pub fn client(&self) -> Option<&kube::Client> {
        self.client.as_ref()
    }
}
