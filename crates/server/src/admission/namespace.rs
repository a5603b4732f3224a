//! Namespaces: new content, phases, finalizers, and those that stay (NamespaceLifecycle).

use api::{Cause, Status, View};
use k8s_openapi::api::core::v1::Namespace;
use serde_json::{Value, json};

use super::Admit;
use crate::write::Op;
use crate::write::meta::texts;

/// Namespaces that may not be deleted.
const IMMORTAL: &[&str] = &["default", "kube-system", "kube-public"];
/// Finalizer of a namespace's content.
const KUBERNETES: &str = "kubernetes";

/// Whether a namespace exists, and whether it is going.
fn state(view: &View, name: &str) -> Option<bool> {
    let namespace: &Namespace = view.get("", name)?;
    Some(namespace.metadata.deletion_timestamp.is_some())
}

/// New objects need a namespace that stays.
pub(super) fn must_take_new_content(admit: &Admit<'_>, value: &Value) -> Result<(), Status> {
    if !admit.op.served.kind.namespaced {
        return Ok(());
    }
    let name = admit.op.namespace;
    match state(admit.view, name) {
        None => Err(Status::not_found("", "namespaces", name)),
        Some(false) => Ok(()),
        Some(true) => {
            let detail = format!("unable to create new content in namespace {name} because it is being terminated");
            let mut status = admit.forbidden(value, &detail);
            status.causes.push(Cause {
                reason: "NamespaceTerminating".to_owned(),
                message: format!("namespace {name} is being terminated"),
                field: "metadata.namespace".to_owned(),
            });
            Err(status)
        }
    }
}

/// A namespace carries its name as a label and the finalizer of its content, and has a phase.
pub(super) fn mutate(admit: &Admit<'_>, value: &mut Value) {
    let name = value["metadata"]["name"].clone();
    if !value["metadata"]["labels"].is_object() {
        value["metadata"]["labels"] = json!({});
    }
    value["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
    if !value["spec"].is_object() {
        value["spec"] = json!({});
    }
    match admit.old {
        None => {
            value["status"] = json!({"phase": "Active"});
            if !texts(&value["spec"]["finalizers"]).any(|one| one == KUBERNETES) {
                let own: Vec<String> = texts(&value["spec"]["finalizers"]).map(str::to_owned).collect();
                value["spec"]["finalizers"] = own.into_iter().chain([KUBERNETES.to_owned()]).collect();
            }
        }
        Some(old) => {
            let finalizers = old.value()["spec"]["finalizers"].take();
            if finalizers.is_null() {
                value["spec"].as_object_mut().map(|spec| spec.remove("finalizers"));
            } else {
                value["spec"]["finalizers"] = finalizers;
            }
        }
    }
}

/// Some namespaces stay.
pub(super) fn check_delete(op: &Op<'_>) -> Result<(), Status> {
    let kind = &op.served.kind;
    if kind.group.is_empty() && kind.kind == "Namespace" && IMMORTAL.contains(&op.name) {
        return Err(Status::forbidden("", "namespaces", op.name, "this namespace may not be deleted"));
    }
    Ok(())
}

/// A namespace that is to go shows it.
pub(super) fn on_delete(value: &mut Value) {
    if !value["status"].is_object() {
        value["status"] = json!({});
    }
    value["status"]["phase"] = json!("Terminating");
}

/// Whether an object is a namespace whose content is not gone yet.
pub(super) fn has_finalizers(value: &Value) -> bool {
    value["kind"] == "Namespace" && value["apiVersion"] == "v1" && texts(&value["spec"]["finalizers"]).next().is_some()
}
