//! Who holds a connection: the answers that there are.

use serde::Serialize;

use super::workloads::Workload;

/// Who holds a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Who {
    /// A pod.
    Pod {
        /// Namespace.
        namespace: String,
        /// Name.
        pod: String,
        /// Its container, where it has only one.
        container: Option<String>,
        /// Its node.
        node: String,
        /// What it belongs to.
        workload: Workload,
        /// Its own address and port of this connection.
        socket: Option<String>,
        /// Whether it passes on connections of others.
        pooler: bool,
        /// Whether the pod itself is there no more.
        gone: bool,
    },
    /// A process in a node's own network.
    Host {
        /// The node.
        node: String,
        /// Pods that use that network: it may be one of them, where the process is not known.
        candidates: Vec<String>,
        /// Its name and id, where they are known: then it is no pod's.
        process: Option<String>,
    },
    /// A local socket of the server's own machine.
    Local,
    /// This very program.
    Trace,
    /// No pod and no node of this cluster.
    Outside {
        /// The address that the server sees.
        address: String,
    },
    /// It can't be told.
    Unknown {
        /// Why.
        reason: String,
        /// Pods that may hold it, by what else is known.
        candidates: Vec<String>,
    },
}

impl Who {
    pub(super) fn unknown(reason: String) -> Self {
        Self::Unknown { reason, candidates: Vec::new() }
    }
}
