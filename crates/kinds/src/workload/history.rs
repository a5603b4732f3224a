//! The history of pod templates of DaemonSets and StatefulSets, kept as ControllerRevisions.
//!
//! `kubectl rollout history` and `undo` read the revisions; each holds the patch that brings its template back.
//! A template that comes back takes its old revision up to the highest number instead of making a new one.

use std::cmp::Reverse;

use api::{LabelSelector, Plan, View};
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use serde_json::{Value, json};

use super::claim::{Held, Owner, claim, reference};
use super::hash;
use super::meta::Meta;

/// Label of DaemonSets' revisions and of all pods that come from a revision.
pub const REVISION_HASH: &str = "controller-revision-hash";
/// Label of StatefulSets' revisions.
pub const HASH: &str = "controller.kubernetes.io/hash";

/// All revisions of an owner.
pub struct History<'a> {
    /// Oldest first.
    pub revisions: Vec<Held<'a, ControllerRevision>>,
    /// The one of the current template; `None` while it is not stored yet.
    pub current: Option<Held<'a, ControllerRevision>>,
}

/// What a revision is made for.
pub struct Wanted<'a> {
    /// The template to remember.
    pub template: &'a PodTemplateSpec,
    /// `status.collisionCount`.
    pub collisions: Option<i32>,
    /// The owner's selector: the revisions of an owner carry the labels of its template.
    pub selector: &'a LabelSelector,
    /// Label that holds the hash.
    pub hash_label: &'static str,
}

/// What became of keeping the history.
pub enum Kept<'a> {
    /// The history is as it should be.
    Current(History<'a>),
    /// The plan changes it; the next view shows how.
    Changing,
    /// The name of the revision is taken by another owner's: count a collision.
    Collision,
}

/// Sees to it that the current template has the highest revision.
pub fn keep<'a, O: Owner>(owner: &O, wanted: &Wanted<'_>, view: &'a View, plan: &mut Plan) -> Kept<'a> {
    let Some(mut revisions): Option<Vec<Held<'a, ControllerRevision>>> = claim(owner, wanted.selector, view, plan)
    else {
        return Kept::Changing;
    };
    revisions.sort_by_key(|one| (one.revision, Reverse(one.created()), one.name().to_owned()));
    let data = patch_of(wanted.template);
    let highest = revisions.last().and_then(|one| one.revision).unwrap_or_default();
    let current = revisions.iter().rev().find(|one| one.data.0 == data).copied();
    match current {
        Some(current) if current.revision == Some(highest) => {
            Kept::Current(History { revisions, current: Some(current) })
        }
        _ if owner.deleting() => Kept::Current(History { revisions, current }),
        Some(current) => {
            let raised = ControllerRevision { revision: Some(highest + 1), ..current.typed.clone() };
            plan.update(&raised, "the owner returned to this template");
            Kept::Changing
        }
        None => {
            let made = revision(owner, wanted, data, highest + 1);
            if view.get::<ControllerRevision>(owner.namespace(), made.name()).is_some() {
                return Kept::Collision;
            }
            plan.create(&made, "no revision holds this pod template");
            Kept::Changing
        }
    }
}

fn revision<O: Owner>(owner: &O, wanted: &Wanted<'_>, data: Value, number: i64) -> ControllerRevision {
    let hash = hash::of(&data, wanted.collisions);
    let mut labels = wanted.template.metadata.as_ref().and_then(|meta| meta.labels.clone()).unwrap_or_default();
    labels.insert(wanted.hash_label.to_owned(), hash.clone());
    ControllerRevision {
        metadata: ObjectMeta {
            name: Some(format!("{}-{hash}", owner.name())),
            namespace: Some(owner.namespace().to_owned()),
            labels: Some(labels),
            annotations: owner.metadata().annotations.clone(),
            owner_references: Some(vec![reference(owner)]),
            ..ObjectMeta::default()
        },
        data: RawExtension(data),
        revision: Some(number),
    }
}

/// The patch that brings `template` back.
fn patch_of(template: &PodTemplateSpec) -> Value {
    let mut template = serde_json::to_value(template).expect("Kubernetes types serialise to JSON");
    template["$patch"] = json!("replace");
    json!({ "spec": { "template": template } })
}

/// The template that a revision holds.
pub fn template_of(revision: &ControllerRevision) -> Option<PodTemplateSpec> {
    let mut template = revision.data.0.get("spec")?.get("template")?.clone();
    template.as_object_mut()?.remove("$patch");
    serde_json::from_value(template).ok()
}

/// The hash by which pods of a revision are told.
pub fn hash_of<'a>(revision: &'a ControllerRevision, label: &str) -> &'a str {
    revision.label(label).unwrap_or_default()
}

impl History<'_> {
    /// Deletes the oldest revisions beyond `limit` that are not `live`.
    pub fn forget_old(&self, limit: Option<i32>, live: impl Fn(&ControllerRevision) -> bool, plan: &mut Plan) {
        let limit = usize::try_from(limit.unwrap_or(10)).unwrap_or_default();
        let current = self.current.map(|current| current.uid().to_owned());
        let dead: Vec<&Held<'_, ControllerRevision>> = self
            .revisions
            .iter()
            .filter(|one| current.as_deref() != Some(one.uid()) && !one.deleting() && !live(one))
            .collect();
        let surplus = dead.len().saturating_sub(limit);
        dead.into_iter().take(surplus).for_each(|one| plan.delete(one.object, "beyond revisionHistoryLimit"));
    }
}
