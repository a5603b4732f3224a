//! Empties a namespace that is being deleted, and then lets it go.
//!
//! Deletes every object in it, of every kind; what is left (objects with finalizers) is counted in the conditions.
//! Nothing new appears meanwhile, because the server refuses to create in a namespace that is going.

use std::collections::BTreeMap;

use api::{Blocked, Change, Controller, Key, Object, Plan, Propagation, Subresource, View, Wake};
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition, NamespaceStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use crate::workload::change;
use crate::workload::meta::Meta;
use crate::workload::replicas::BURST;

/// The finalizer in `spec.finalizers` that this controller takes off.
const FINALIZER: &str = "kubernetes";

/// Empties namespaces.
pub const CONTROLLER: Controller<Namespace> = Controller { name: "namespace", wakes: &[Wake::Any(namespace_of)], plan };

fn plan(namespace: &Namespace, view: &View, plan: &mut Plan) -> Result<(), Blocked> {
    let finalizers = namespace.spec.as_ref().and_then(|spec| spec.finalizers.clone()).unwrap_or_default();
    if !namespace.deleting() || !finalizers.iter().any(|one| one == FINALIZER) {
        return Ok(());
    }
    let left = Left::of(namespace, view, plan);
    let status = status(namespace, &left, view);
    if left.n_objects == 0 {
        let rest: Vec<&String> = finalizers.iter().filter(|one| *one != FINALIZER).collect();
        let finalize = json!({ "spec": { "finalizers": rest } });
        plan.push(change::patch(namespace, view, Subresource::Main, finalize), "the namespace is empty");
    } else if namespace.status.as_ref() != Some(&status) {
        plan.update_status(&Namespace { status: Some(status), ..namespace.clone() }, "its content changed");
    }
    Ok(())
}

/// What a namespace still holds.
#[derive(Default)]
struct Left {
    n_objects: usize,
    by_kind: BTreeMap<String, usize>,
    by_finalizer: BTreeMap<String, usize>,
}

impl Left {
    /// Counts the objects and deletes those that nobody has deleted yet.
    fn of(namespace: &Namespace, view: &View, plan: &mut Plan) -> Self {
        let mut left = Self::default();
        for kind in view.catalogue().kinds().iter().filter(|kind| kind.namespaced) {
            for object in view.objects_in(kind.id, namespace.name()) {
                left.n_objects += 1;
                *left.by_kind.entry(format!("{}.{}", kind.plural, kind.group)).or_default() += 1;
                for finalizer in &object.header.finalizers {
                    *left.by_finalizer.entry(finalizer.clone()).or_default() += 1;
                }
                if object.header.deleting.is_none() && plan.changes.len() < BURST {
                    delete(object, plan);
                }
            }
        }
        left
    }
}

fn delete(object: &Object, plan: &mut Plan) {
    let delete = Change::Delete {
        key: object.header.key.clone(),
        uid: object.header.uid.to_string(),
        propagation: Propagation::Background,
        grace: None,
    };
    plan.push(delete, "its namespace is being deleted");
}

fn status(namespace: &Namespace, left: &Left, view: &View) -> NamespaceStatus {
    let listed = |counts: &BTreeMap<String, usize>, text: fn(&str, usize) -> String| {
        counts.iter().map(|(name, count)| text(name, *count)).collect::<Vec<_>>().join(", ")
    };
    let kinds = listed(&left.by_kind, |kind, count| format!("{kind} has {count} resource instances"));
    let finalizers = listed(&left.by_finalizer, |name, count| format!("{name} in {count} resource instances"));
    let remaining = format!("Some resources are remaining: {kinds}");
    let finalizing = format!("Some content in the namespace has finalizers remaining: {finalizers}");
    let wanted = [
        ("NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered"),
        (
            "NamespaceDeletionGroupVersionParsingFailure",
            "False",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        (
            "NamespaceDeletionContentFailure",
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
        ),
        if kinds.is_empty() {
            ("NamespaceContentRemaining", "False", "ContentRemoved", "All content successfully removed")
        } else {
            ("NamespaceContentRemaining", "True", "SomeResourcesRemain", remaining.as_str())
        },
        if finalizers.is_empty() {
            (
                "NamespaceFinalizersRemaining",
                "False",
                "ContentHasNoFinalizers",
                "All content-preserving finalizers finished",
            )
        } else {
            ("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", finalizing.as_str())
        },
    ];
    let before = namespace.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let conditions = wanted.map(|(kind, status, reason, message)| {
        let same = before.iter().find(|one| one.type_ == kind && one.status == status);
        NamespaceCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message.to_owned()),
            last_transition_time: same
                .and_then(|one| one.last_transition_time.clone())
                .or_else(|| Some(Time(view.now()))),
        }
    });
    NamespaceStatus { phase: Some("Terminating".to_owned()), conditions: Some(conditions.to_vec()) }
}

/// The namespace of an object, when it waits for the object to go.
fn namespace_of(object: &Object, view: &View) -> Vec<Key> {
    let namespace = &object.header.key.namespace;
    if namespace.is_empty() {
        return Vec::new();
    }
    let key = Key::new(view.catalogue().id_of::<Namespace>(), "", namespace);
    let going = view.object(&key).is_some_and(|namespace| namespace.header.deleting.is_some());
    if going { vec![key] } else { Vec::new() }
}
