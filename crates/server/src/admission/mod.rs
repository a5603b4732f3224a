//! What Kubernetes' built-in admission plugins do, and the few kinds that it treats specially at its door.
//!
//! All of it is a function of the view and the object: [`mutate`] changes what is written, [`check`] refuses. Both run
//! for every caller, HTTP or in process.
//!
//! Deliberately absent: webhooks and policies.

mod limits;
mod namespace;
mod node;
mod pod;
mod priority;
mod quota;
mod service;
mod service_account;

use std::time::Duration;

use api::{Kind, Object, Status, View};
use serde_json::Value;
use tokio::sync::MutexGuard;

use crate::write::{Op, Part};
use crate::{Attributes, Server, auth};

/// What an admission step knows.
pub(crate) struct Admit<'a> {
    pub(crate) op: &'a Op<'a>,
    pub(crate) view: &'a View,
    /// The object as it was; `None` on create.
    pub(crate) old: Option<&'a Object>,
}

impl Admit<'_> {
    /// Whether the kind is this one.
    fn is(&self, group: &str, kind: &str) -> bool {
        let own = &self.op.served.kind;
        own.group == group && own.kind == kind
    }

    /// 403 about the object.
    fn forbidden(&self, value: &Value, detail: &str) -> Status {
        let name = value["metadata"]["name"].as_str().unwrap_or_default();
        Status::forbidden(self.op.served.group(), self.op.served.kind.plural, name, detail)
    }
}

/// Changes what is created, or updated in its main part.
///
/// # Errors
/// A refusal.
pub(crate) fn mutate(admit: &Admit<'_>, value: &mut Value) -> Result<(), Status> {
    if admit.old.is_none() {
        namespace::must_take_new_content(admit, value)?;
    }
    if admit.is("", "Namespace") {
        namespace::mutate(admit, value);
    }
    if admit.is("", "Service") {
        service::allocate(admit, value)?;
    }
    if admit.is("scheduling.k8s.io", "PriorityClass") {
        priority::check_class(admit, value)?;
    }
    if admit.is("", "PersistentVolumeClaim") && admit.old.is_none() {
        limits::check_claim(admit, value)?;
    }
    if admit.is("", "Pod") && admit.old.is_none() {
        service_account::mutate(admit, value)?;
        pod::tolerate_node_problems(value);
        priority::mutate(admit, value)?;
        limits::mutate(admit, value)?;
    }
    Ok(())
}

/// Refuses what may not be written. Runs after validation, on every write.
///
/// # Errors
/// A refusal.
pub(crate) fn check(admit: &Admit<'_>, value: &Value) -> Result<(), Status> {
    node::check_write(admit, value)?;
    escalation(admit, value)?;
    quota::check(admit, value)
}

/// Nobody grants what they do not have.
fn escalation(admit: &Admit<'_>, value: &Value) -> Result<(), Status> {
    let op = admit.op;
    if op.served.kind.group != "rbac.authorization.k8s.io" {
        return Ok(());
    }
    let attributes = Attributes {
        verb: if admit.old.is_none() { "create" } else { "update" }.to_owned(),
        is_resource: true,
        group: op.served.group().to_owned(),
        version: op.served.version().to_owned(),
        resource: op.served.kind.plural.to_owned(),
        subresource: if op.part == Part::Status { "status" } else { "" }.to_owned(),
        namespace: op.namespace.to_owned(),
        name: value["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
        ..Attributes::default()
    };
    let old = admit.old.map(Object::value);
    auth::check_escalation(&op.server.auth, admit.view, op.user, &attributes, value, old.as_ref())
}

/// Refuses deletions.
///
/// # Errors
/// A refusal.
pub(crate) fn check_delete(op: &Op<'_>, old: &Object) -> Result<(), Status> {
    namespace::check_delete(op)?;
    node::check_delete(op, old)
}

/// Waits a moment for what a new object needs and a controller is about to make.
pub(crate) async fn wait(op: &Op<'_>, value: &Value) {
    /// The service account of a namespace that was made just now.
    const PATIENCE: Duration = Duration::from_secs(1);
    if op.served.kind.group.is_empty() && op.served.kind.kind == "Pod" {
        let mut views = op.server.store.views();
        let there = views.wait_for(|view| service_account::is_there(view, op.namespace, value));
        let _late = tokio::time::timeout(PATIENCE, there).await; // Admission says what is missing.
    }
}

/// Takes turns where something must be unique or bounded across objects: addresses of services, quotas.
pub(crate) async fn turn<'s>(server: &'s Server, kind: &Kind, namespace: &str) -> Option<MutexGuard<'s, ()>> {
    let shared =
        kind.group.is_empty() && kind.kind == "Service" || quota::applies(&server.store.view(), kind, namespace);
    if shared { Some(server.turns.lock().await) } else { None }
}

/// Seconds of grace with which an object is deleted.
pub(crate) fn grace(kind: &Kind, value: &Value, asked: Option<i64>) -> i64 {
    if kind.group.is_empty() && kind.kind == "Pod" { pod::grace(value, asked) } else { 0 }
}

/// Marks what deletion means beside metadata.
pub(crate) fn on_delete(kind: &Kind, value: &mut Value) {
    if kind.group.is_empty() && kind.kind == "Namespace" {
        namespace::on_delete(value);
    }
}

/// Whether an object has finalizers of its own beside those in metadata.
pub(crate) fn has_own_finalizers(value: &Value) -> bool {
    namespace::has_finalizers(value)
}

/// Whether the kind's clients send status when they create: nodes, which register themselves.
pub(crate) fn registers_with_status(kind: &Kind) -> bool {
    kind.group.is_empty() && kind.kind == "Node"
}
