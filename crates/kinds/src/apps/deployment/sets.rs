//! The ReplicaSets of a Deployment as working copies: decisions change the copies, and each set that then differs
//! from what is stored becomes one change.

use std::cmp::Reverse;

use api::{EventType, Plan, View};
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{Pod, PodTemplateSpec};

use crate::workload::claim::Held;
use crate::workload::meta::Meta;
use crate::workload::pods::{self, Availability};
use crate::workload::replicas::count;

/// Label that tells the pods of a Deployment's ReplicaSets apart.
pub const HASH_LABEL: &str = "pod-template-hash";

/// One ReplicaSet.
pub struct Set<'a> {
    /// As stored; `None` when this plan creates it.
    pub stored: Option<Held<'a, ReplicaSet>>,
    /// As wanted.
    pub wanted: ReplicaSet,
    /// Its pods as the view shows them: its status may not say so yet.
    pub there: There,
}

/// The pods of a set.
#[derive(Clone, Copy, Debug, Default)]
pub struct There {
    /// Pods that count.
    active: i32,
    /// Those of them that are available.
    available: i32,
}

impl There {
    fn of(set: &ReplicaSet, view: &View) -> Self {
        let min_ready_seconds = set.spec.min_ready_seconds.unwrap_or_default();
        let active: Vec<&Pod> = view.controlled_by(set.uid()).filter(|pod| pods::active(pod)).collect();
        let available = |pod: &&&Pod| pods::availability(pod, min_ready_seconds, view.now()) == Availability::Available;
        Self { active: count(active.len()), available: count(active.iter().filter(available).count()) }
    }
}

impl Set<'_> {
    /// Wanted replicas.
    pub fn replicas(&self) -> i32 {
        self.wanted.spec.replicas.unwrap_or(1)
    }

    /// Asks for `replicas` pods.
    pub fn resize(&mut self, replicas: i32) {
        self.wanted.spec.replicas = Some(replicas.max(0));
    }

    /// Pods that count.
    pub fn observed(&self) -> i32 {
        self.wanted.status.as_ref().map_or(0, |status| status.replicas)
    }

    /// Ready pods.
    pub fn ready(&self) -> i32 {
        self.wanted.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default()
    }

    /// Available pods that stay when the set has the size that is asked for.
    pub fn serving(&self) -> i32 {
        self.there.available.min(self.replicas())
    }

    /// Available pods.
    pub fn available(&self) -> i32 {
        self.wanted.status.as_ref().and_then(|status| status.available_replicas).unwrap_or_default()
    }

    /// Pods that are being deleted.
    pub fn terminating(&self) -> i32 {
        self.wanted.status.as_ref().and_then(|status| status.terminating_replicas).unwrap_or_default()
    }
}

/// All of them.
pub struct Sets<'a> {
    /// The set of the Deployment's current template.
    pub new: Option<Set<'a>>,
    /// The others, oldest first.
    pub old: Vec<Set<'a>>,
}

impl<'a> Sets<'a> {
    /// Sorts the sets of `deployment` into the new one and the old ones.
    pub fn new(deployment: &Deployment, mut held: Vec<Held<'a, ReplicaSet>>, view: &View) -> Self {
        held.sort_by_key(|set| (set.created(), set.name().to_owned()));
        let new = &deployment.spec.template;
        let is_new = |set: &Held<'_, ReplicaSet>| set.spec.template.as_ref().is_some_and(|set| same(set, new));
        let position = held.iter().position(is_new); // The oldest, should there be two.
        let mut old: Vec<Set<'a>> = held
            .into_iter()
            .map(|set| Set { wanted: set.typed.clone(), there: There::of(set.typed, view), stored: Some(set) })
            .collect();
        let new = position.map(|position| old.remove(position));
        Self { new, old }
    }

    /// Every set.
    pub fn all(&self) -> impl Iterator<Item = &Set<'a>> {
        self.old.iter().chain(&self.new)
    }

    /// Every set, to be changed.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Set<'a>> {
        self.old.iter_mut().chain(&mut self.new)
    }

    /// Replicas asked of all sets.
    pub fn replicas(&self) -> i32 {
        self.all().map(Set::replicas).sum()
    }

    /// Pods that there may be at the moment: those asked for, and those that a shrunk set has not deleted yet.
    pub fn pods(&self) -> i32 {
        self.all().map(|set| set.replicas().max(set.there.active)).sum()
    }

    /// Replicas asked of the old sets.
    pub fn old_replicas(&self) -> i32 {
        self.old.iter().map(Set::replicas).sum()
    }

    /// Available pods of all sets that stay when they have the sizes that are asked for.
    pub fn serving(&self) -> i32 {
        self.all().map(Set::serving).sum()
    }

    /// Available pods of all sets, as they report them.
    pub fn available(&self) -> i32 {
        self.all().map(Set::available).sum()
    }

    /// The one set that stands for the Deployment when it is scaled: the only active one, or without any the new
    /// one, or the youngest. `None` when several are active.
    pub fn only_active_mut(&mut self) -> Option<&mut Set<'a>> {
        let n_active = self.all().filter(|set| set.replicas() > 0).count();
        match n_active {
            0 if self.new.is_some() => self.new.as_mut(),
            0 => self.old.last_mut(),
            1 => self.all_mut().find(|set| set.replicas() > 0),
            _ => None,
        }
    }

    /// Creates the new set.
    pub fn create(&mut self, deployment: &Deployment, set: ReplicaSet, plan: &mut Plan) {
        plan.create(&set, "no ReplicaSet has this pod template");
        let set = Set { stored: None, wanted: set, there: There::default() };
        if set.replicas() > 0 {
            tell_scaled(deployment, &set, 0, plan);
        }
        self.new = Some(set);
    }

    /// Asks for what differs from the stored sets.
    pub fn write(&self, deployment: &Deployment, plan: &mut Plan) {
        for set in self.all() {
            let Some(stored) = &set.stored else { continue };
            if *stored.typed == set.wanted {
                continue;
            }
            let before = stored.spec.replicas.unwrap_or(1);
            let after = set.replicas();
            if before == after {
                plan.update(&set.wanted, "annotations of the Deployment changed");
            } else {
                plan.update(&set.wanted, format!("scale {} from {before} to {after}", set.wanted.name()));
                tell_scaled(deployment, set, before, plan);
            }
        }
    }

    /// The sets that hold no pods any more, those with the highest revision last.
    pub fn retired(&self, revision: impl Fn(&ReplicaSet) -> i64) -> Vec<&Set<'a>> {
        let empty = |set: &&Set<'a>| {
            let status = set.wanted.status.as_ref();
            let seen = status.and_then(|status| status.observed_generation).unwrap_or_default();
            set.replicas() == 0 && set.observed() == 0 && seen >= set.wanted.generation() && !set.wanted.deleting()
        };
        let mut retired: Vec<&Set<'a>> = self.old.iter().filter(empty).collect();
        retired.sort_by_key(|set| (revision(&set.wanted), Reverse(set.wanted.name().to_owned())));
        retired
    }
}

fn tell_scaled(deployment: &Deployment, set: &Set<'_>, before: i32, plan: &mut Plan) {
    let after = set.replicas();
    let way = if after > before { "up" } else { "down" };
    let message = format!("Scaled {way} replica set {} from {before} to {after}", set.wanted.name());
    plan.event(deployment, EventType::Normal, "ScalingReplicaSet", message);
}

/// Whether two pod templates are the same but for the label that the Deployment adds.
fn same(set: &PodTemplateSpec, new: &PodTemplateSpec) -> bool {
    if set.spec != new.spec {
        return false;
    }
    let labels = |template: &PodTemplateSpec| {
        let mut labels = template.metadata.as_ref().and_then(|meta| meta.labels.clone()).unwrap_or_default();
        labels.remove(HASH_LABEL);
        labels
    };
    let rest = |template: &PodTemplateSpec| {
        let mut meta = template.metadata.clone().unwrap_or_default();
        meta.labels = None;
        meta.creation_timestamp = None;
        meta
    };
    labels(set) == labels(new) && rest(set) == rest(new)
}
