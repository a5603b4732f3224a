//! A pod waits for its volume claims to be bound, and runs where the volumes can be reached.
//!
//! Deliberately absent: binding claims. Until something binds them, a pod with an unbound claim waits.

use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Volume};
use kinds::placement::affinity;
use kinds::workload::meta::Meta;

use super::{Cycle, Filter, Refusal};
use crate::scheduler::node::NodeInfo;

pub const FILTER: Filter = Filter { name: "VolumeBinding", fits };

/// The claims of a pod by name.
fn claims<'c>(cycle: &'c Cycle<'_>) -> impl Iterator<Item = String> + 'c {
    let pod = cycle.pod;
    pod.spec.volumes.iter().flatten().filter_map(move |volume: &Volume| match &volume.persistent_volume_claim {
        Some(claim) => Some(claim.claim_name.clone()),
        None => volume.ephemeral.as_ref().map(|_| format!("{}-{}", pod.key().name, volume.name)),
    })
}

/// What about the pod's claims keeps it from every node alike.
pub fn blocked(cycle: &Cycle<'_>) -> Option<String> {
    let namespace = &cycle.pod.key().namespace;
    claims(cycle).find_map(|name| match cycle.view.get::<PersistentVolumeClaim>(namespace, &name) {
        None => Some(format!("persistentvolumeclaim {name:?} not found")),
        Some(claim) if claim.deleting() => Some(format!("persistentvolumeclaim {name:?} is being deleted")),
        Some(claim) if volume_of(claim).is_empty() => {
            Some("pod has unbound immediate PersistentVolumeClaims".to_owned())
        }
        Some(_) => None,
    })
}

fn volume_of(claim: &PersistentVolumeClaim) -> &str {
    claim.spec.as_ref().and_then(|spec| spec.volume_name.as_deref()).unwrap_or_default()
}

fn fits(cycle: &Cycle<'_>, node: &NodeInfo) -> Result<(), Refusal> {
    let namespace = &cycle.pod.key().namespace;
    for name in claims(cycle) {
        let claim = cycle.view.get::<PersistentVolumeClaim>(namespace, &name);
        let volume = claim.and_then(|claim| cycle.view.get::<PersistentVolume>("", volume_of(claim)));
        let Some(volume) = volume else {
            return Err(Refusal::helpless("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"));
        };
        let required = volume.spec.as_ref().and_then(|spec| spec.node_affinity.as_ref()?.required.as_ref());
        if required.is_some_and(|one| !one.node_selector_terms.iter().any(|term| affinity::term(term, node.node()))) {
            return Err(Refusal::helpless("node(s) had volume node affinity conflict"));
        }
    }
    Ok(())
}
