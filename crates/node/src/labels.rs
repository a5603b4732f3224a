//! The labels and annotations by which a node finds its pods again in the runtime.
//!
//! Invariant: everything needed to go on after a restart of the node stands in the runtime itself.
//! The keys are those of Kubernetes, so `crictl` shows them as it does on any node.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod};
use sha2::{Digest, Sha256};

pub(crate) const POD_NAME: &str = "io.kubernetes.pod.name";
pub(crate) const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
pub(crate) const POD_UID: &str = "io.kubernetes.pod.uid";
pub(crate) const CONTAINER_NAME: &str = "io.kubernetes.container.name";

const HASH: &str = "io.kubernetes.container.hash";
const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";
const MESSAGE_PATH: &str = "io.kubernetes.container.terminationMessagePath";
const MESSAGE_POLICY: &str = "io.kubernetes.container.terminationMessagePolicy";
const GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";

/// The grace period of a pod that does not say.
pub(crate) const DEFAULT_GRACE: i64 = 30;

/// Who a pod is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodRef {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

impl PodRef {
    /// From an object of the API server, which has all three.
    pub fn of(pod: &Pod) -> Self {
        let meta = &pod.metadata;
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone().unwrap_or_default(),
        }
    }

    /// From the labels of a sandbox or container; `None` for what is not a pod's.
    pub(crate) fn from_labels(labels: &BTreeMap<String, String>) -> Option<Self> {
        Some(Self {
            namespace: labels.get(POD_NAMESPACE)?.clone(),
            name: labels.get(POD_NAME)?.clone(),
            uid: labels.get(POD_UID)?.clone(),
        })
    }

    /// The labels of the pod's sandbox.
    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (POD_NAME.to_owned(), self.name.clone()),
            (POD_NAMESPACE.to_owned(), self.namespace.clone()),
            (POD_UID.to_owned(), self.uid.clone()),
        ])
    }
}

impl std::fmt::Display for PodRef {
    /// As kubelets write it in messages: `name_namespace(uid)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}_{}({})", self.name, self.namespace, self.uid)
    }
}

/// The annotations of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    pub hash: String,
    pub restart_count: u32,
    pub message_path: String,
    /// `File` or `FallbackToLogsOnError`.
    pub message_policy: String,
    /// Seconds.
    pub grace: i64,
}

impl Notes {
    pub(crate) fn new(pod: &Pod, container: &Container, restart_count: u32) -> Self {
        let grace = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
        Self {
            hash: hash(container),
            restart_count,
            message_path: container.termination_message_path.clone().unwrap_or_else(|| "/dev/termination-log".into()),
            message_policy: container.termination_message_policy.clone().unwrap_or_else(|| "File".into()),
            grace: grace.unwrap_or(DEFAULT_GRACE),
        }
    }

    pub(crate) fn to_annotations(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (HASH.to_owned(), self.hash.clone()),
            (RESTART_COUNT.to_owned(), self.restart_count.to_string()),
            (MESSAGE_PATH.to_owned(), self.message_path.clone()),
            (MESSAGE_POLICY.to_owned(), self.message_policy.clone()),
            (GRACE.to_owned(), self.grace.to_string()),
        ])
    }

    pub(crate) fn from_annotations(annotations: &BTreeMap<String, String>) -> Self {
        let text = |key: &str| annotations.get(key).cloned().unwrap_or_default();
        Self {
            hash: text(HASH),
            restart_count: text(RESTART_COUNT).parse().unwrap_or_default(),
            message_path: text(MESSAGE_PATH),
            message_policy: text(MESSAGE_POLICY),
            grace: text(GRACE).parse().unwrap_or(DEFAULT_GRACE),
        }
    }
}

/// Changes exactly when a running container must be replaced: of what may be updated in a pod, that
/// is its image.
pub(crate) fn hash(container: &Container) -> String {
    let mut digest = Sha256::new();
    digest.update(container.name.as_bytes());
    digest.update([0]);
    digest.update(container.image.as_deref().unwrap_or_default().as_bytes());
    digest.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_survive_the_runtime() {
        let container = Container { name: "c".into(), image: Some("i".into()), ..Default::default() };
        let notes = Notes::new(&Pod::default(), &container, 7);
        assert_eq!(Notes::from_annotations(&notes.to_annotations()), notes);
        assert_eq!(notes.grace, DEFAULT_GRACE);
    }

    #[test]
    fn only_another_image_replaces_a_container() {
        let old = Container { name: "c".into(), image: Some("i:1".into()), ..Default::default() };
        let same = Container { tty: Some(true), ..old.clone() };
        let new = Container { image: Some("i:2".into()), ..old.clone() };
        assert_eq!(hash(&old), hash(&same));
        assert_ne!(hash(&old), hash(&new));
    }
}
