//! NodeRestriction: a kubelet writes its own node, its lease and the pods that run on it, and nothing else of these.

use api::{Object, Status};
use serde_json::Value;

use super::Admit;
use crate::User;
use crate::write::{Op, Part};

/// Prefix of labels that only others may put on a node.
const RESTRICTED_LABELS: &str = "node-restriction.kubernetes.io/";

/// The node whose kubelet a user is.
fn node_of(user: &User) -> Option<&str> {
    let name = user.name.strip_prefix("system:node:")?;
    user.in_group("system:nodes").then_some(name)
}

/// Refuses writes of a kubelet that are not about what is its own.
pub(super) fn check_write(admit: &Admit<'_>, value: &Value) -> Result<(), Status> {
    let Some(node) = node_of(admit.op.user) else { return Ok(()) };
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    if admit.is("", "Node") {
        if name != node {
            return Err(admit.forbidden(value, &format!("node \"{node}\" is not allowed to modify node \"{name}\"")));
        }
        return check_labels(admit, value);
    }
    if admit.is("coordination.k8s.io", "Lease") && admit.op.namespace == "kube-node-lease" && name != node {
        return Err(admit.forbidden(value, "can only access node lease with the same name as the requesting node"));
    }
    if admit.is("", "Pod") {
        return check_pod(admit, value, node);
    }
    Ok(())
}

fn check_labels(admit: &Admit<'_>, value: &Value) -> Result<(), Status> {
    let before = admit.old.map(Object::value).unwrap_or_default();
    let labels = |value: &Value| {
        let labels = value["metadata"]["labels"].as_object().into_iter().flatten();
        labels
            .filter(|(key, _)| key.starts_with(RESTRICTED_LABELS))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect::<Vec<_>>()
    };
    if labels(&before) != labels(value) {
        return Err(admit.forbidden(value, "is not allowed to modify labels below node-restriction.kubernetes.io/"));
    }
    if admit.old.is_some() && before["spec"]["taints"] != value["spec"]["taints"] {
        return Err(admit.forbidden(value, "is not allowed to modify taints"));
    }
    Ok(())
}

fn check_pod(admit: &Admit<'_>, value: &Value, node: &str) -> Result<(), Status> {
    if value["spec"]["nodeName"] != node {
        return Err(
            admit.forbidden(value, &format!("node \"{node}\" can only modify pods with spec.nodeName set to itself"))
        );
    }
    if admit.old.is_none() && value["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_null() {
        return Err(admit.forbidden(value, &format!("node \"{node}\" can only create mirror pods")));
    }
    if admit.old.is_some() && admit.op.part == Part::Main {
        return Err(admit.forbidden(value, &format!("node \"{node}\" can only update pod status")));
    }
    Ok(())
}

/// Refuses deletions of a kubelet that are not of its own pods or node.
pub(super) fn check_delete(op: &Op<'_>, old: &Object) -> Result<(), Status> {
    let Some(node) = node_of(op.user) else { return Ok(()) };
    let kind = &op.served.kind;
    let own = match (kind.group, kind.kind) {
        ("", "Pod") => old.value()["spec"]["nodeName"] == node,
        ("", "Node") | ("coordination.k8s.io", "Lease") => op.name == node,
        _ => true,
    };
    if own {
        return Ok(());
    }
    let detail = format!("node \"{node}\" can only delete what is its own");
    Err(Status::forbidden(op.served.group(), kind.plural, op.name, &detail))
}
