//! What requests ask the kubelet about.

use std::path::PathBuf;

/// One container of a pod, as requests need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The runtime's id; `None` while there is none yet.
    pub id: Option<String>,
    /// Whether it runs.
    pub running: bool,
    /// Whether it has a terminal.
    pub tty: bool,
    /// Whether it has an input.
    pub stdin: bool,
    /// Whether its input ends with the first client that attaches to it.
    pub stdin_once: bool,
    /// Its log file.
    pub log: PathBuf,
}

/// A pod for statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodRef {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// uid.
    pub uid: String,
}

/// Why there is nothing to answer with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// No such pod on this node.
    #[error("pod does not exist")]
    Pod,
    /// The pod has no such container.
    #[error("container {0} is not valid for pod {1}")]
    Container(String, String),
    /// The container has not started yet.
    #[error("container {container:?} in pod {pod:?} is waiting to start: {reason}")]
    Waiting {
        /// The container.
        container: String,
        /// Its pod.
        pod: String,
        /// Why, in the kubelet's words.
        reason: String,
    },
    /// The container has no predecessor.
    #[error("previous terminated container {0:?} in pod {1:?} not found")]
    Previous(String, String),
    /// The pod has no sandbox now.
    #[error("pod {0} is not running")]
    Sandbox(String),
}

/// Looks pods and containers of this node up.
pub trait Pods: Send + Sync + 'static {
    /// The present container of that name, or with `previous` the one before.
    ///
    /// # Errors
    /// When there is no such pod or container.
    fn container(&self, namespace: &str, pod: &str, container: &str, previous: bool) -> Result<Container, Unknown>;

    /// Id of a pod's running sandbox.
    ///
    /// # Errors
    /// When there is no such pod, or it has no sandbox.
    fn sandbox(&self, namespace: &str, pod: &str) -> Result<String, Unknown>;

    /// All pods of this node.
    fn pods(&self) -> Vec<PodRef>;
}
