//! Evidence of a cluster and of this machine, as it is now.

use anyhow::bail;
use operate::change::Ground;

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

/// The ways onto these nodes, and to the API if `objects` are to be changed. For undoing what was done there.
pub(super) async fn ground(_arguments: &Doctor, nodes: Vec<String>, objects: bool) -> anyhow::Result<Ground> {
    if nodes.is_empty() && !objects {
        return Ok(Ground::here());
    }
    bail!("reaching nodes and the API is not there yet: only changes of files of this machine can be undone")
}
