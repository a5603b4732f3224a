//! Evidence of a cluster and of this machine, as it is now.

use anyhow::bail;

use super::Seen;
use crate::cli::doctor::{Doctor, Subject};

/// Collects what the subject needs; everything without a subject.
pub(super) async fn collect(arguments: &Doctor) -> anyhow::Result<Seen> {
    let what = match &arguments.subject {
        None => "a whole cluster",
        Some(Subject::Pod(_)) => "a pod",
        Some(Subject::Node(_)) => "a node",
        Some(Subject::Kubeconfig) => "the kubeconfig",
        Some(Subject::Upgrade(_)) => "an upgrade",
        Some(Subject::Preflight) => "this machine",
        Some(Subject::Image(_) | Subject::Manifests(_) | Subject::Text(_) | Subject::Undo(_)) => "this",
    };
    bail!(
        "looking at {what} directly is not there yet: `shipmate doctor --from FILE` looks at a bundle, `shipmate doctor \
         text` at pasted text"
    )
}
