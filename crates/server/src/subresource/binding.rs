//! `binding`: a pod gets its node.

use std::sync::Arc;

use api::{Object, Status};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::success;
use crate::route::{Served, unknown_resource};
use crate::write::http::op;
use crate::write::{Modify, Op, Part, WriteOptions, meta};
use crate::{Request, Response, Server, write};

/// Answers `create` of `pods/NAME/binding`.
///
/// # Errors
/// A refusal.
pub(crate) async fn handle(server: &Arc<Server>, served: &Served, mut request: Request) -> Result<Response, Status> {
    let options = WriteOptions::parse(&request.query, "CreateOptions")?;
    let body = super::question(server, &mut request).await?;
    let op = op(server, served, &request, Part::Own, options.dry_run);
    bind_pod(&op, &body).await?;
    Ok(success())
}

/// Answers `create` of `bindings`, which names the pod in its body.
///
/// # Errors
/// A refusal.
pub(crate) async fn bind(server: &Arc<Server>, request: &Request, body: &Value) -> Result<Response, Status> {
    let served = Served::find(&server.catalogue, "", "v1", "pods").ok_or_else(unknown_resource)?;
    let options = WriteOptions::parse(&request.query, "CreateOptions")?;
    let name = body["metadata"]["name"].as_str().unwrap_or_default();
    let op = Op { name, ..op(server, &served, request, Part::Own, options.dry_run) };
    bind_pod(&op, body).await?;
    Ok(success())
}

async fn bind_pod(op: &Op<'_>, body: &Value) -> Result<(), Status> {
    let target = &body["target"];
    let kind = target["kind"].as_str().unwrap_or_default();
    if !matches!(kind, "" | "Node") {
        let mut errors = api::FieldErrors::default();
        errors.not_supported(&api::Path::new("target.kind"), kind, &["Node", "<empty>"]);
        return Err(Status::invalid("", "Binding", op.name, &errors));
    }
    let Some(node) = target["name"].as_str().filter(|name| !name.is_empty()) else {
        let mut errors = api::FieldErrors::default();
        errors.required(&api::Path::new("target.name"), "");
        return Err(Status::invalid("", "Binding", op.name, &errors));
    };
    let uid = body["metadata"]["uid"].as_str().filter(|uid| !uid.is_empty());
    assign(op, node, uid).await.map(drop)
}

/// Gives a pod its node.
///
/// # Errors
/// 409 when it has one, is being deleted, or is another pod than meant.
pub(crate) async fn assign(op: &Op<'_>, node: &str, uid: Option<&str>) -> Result<Arc<Object>, Status> {
    let conflict = |detail: &str| Status::conflict("", "pods/binding", op.name, detail);
    let assigned = |old: &Value| {
        if let Some(uid) = uid.filter(|uid| old["metadata"]["uid"] != *uid) {
            return Err(conflict(&format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                old["metadata"]["uid"].as_str().unwrap_or_default()
            )));
        }
        if !old["metadata"]["deletionTimestamp"].is_null() {
            return Err(conflict(&format!("pod {} is being deleted, cannot be assigned to a host", op.name)));
        }
        if let Some(has) = old["spec"]["nodeName"].as_str().filter(|has| !has.is_empty()) {
            return Err(conflict(&format!("pod {} is already assigned to node {has:?}", op.name)));
        }
        let mut pod = old.clone();
        pod["spec"]["nodeName"] = json!(node);
        scheduled(&mut pod);
        Ok(pod)
    };
    let outcome = write::update(op, Modify::With(&assigned)).await?;
    Ok(Arc::clone(outcome.object()))
}

/// Sets the condition `PodScheduled` in place of what the scheduler may have said before.
fn scheduled(pod: &mut Value) {
    let mut conditions: Vec<Value> = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.retain(|condition| condition["type"] != "PodScheduled");
    conditions.push(json!({
        "type": "PodScheduled",
        "status": "True",
        "lastProbeTime": null,
        "lastTransitionTime": meta::time(Timestamp::now()),
    }));
    if !pod["status"].is_object() {
        pod["status"] = json!({});
    }
    pod["status"]["conditions"] = Value::Array(conditions);
    // A bound pod has its node; a nomination would only keep room that nobody needs (KEP-5278).
    if let Some(status) = pod["status"].as_object_mut() {
        status.remove("nominatedNodeName");
    }
}
