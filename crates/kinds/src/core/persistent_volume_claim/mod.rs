//! A request for storage.

mod rules;

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, PersistentVolumeClaimSpec, PersistentVolumeClaimStatus};
use serde_json::Value;

use super::persistent_volume::{access_modes, storage};
use crate::table::{UNSET, age, name, string, text, text_or, wide};

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<PersistentVolumeClaim>(&RULES).short(&["pvc"]).with_status();

const RULES: Rules<PersistentVolumeClaim> = Rules {
    defaults: rules::defaults,
    prepare: rules::prepare,
    validate: rules::validate,
    columns: &[
        name(),
        string("Status", |claim, _| match &claim.metadata.deletion_timestamp {
            Some(_) => Value::from("Terminating"),
            None => text(&status(claim).phase),
        }),
        string("Volume", |claim, _| text(&spec(claim).volume_name)),
        string("Capacity", |claim, _| Value::from(bound(claim, |status| storage(status.capacity.as_ref())))),
        string("Access Modes", |claim, _| {
            Value::from(bound(claim, |status| access_modes(status.access_modes.as_deref())))
        }),
        string("StorageClass", |claim, _| text(&spec(claim).storage_class_name)),
        string("VolumeAttributesClass", |claim, _| text_or(&spec(claim).volume_attributes_class_name, UNSET)),
        age(),
        wide(string("VolumeMode", |claim, _| text_or(&spec(claim).volume_mode, UNSET))),
    ],
};

fn spec(claim: &PersistentVolumeClaim) -> PersistentVolumeClaimSpec {
    claim.spec.clone().unwrap_or_default()
}

fn status(claim: &PersistentVolumeClaim) -> PersistentVolumeClaimStatus {
    claim.status.clone().unwrap_or_default()
}

/// What the status says once there is a volume.
fn bound(claim: &PersistentVolumeClaim, part: fn(&PersistentVolumeClaimStatus) -> String) -> String {
    match spec(claim).volume_name.as_deref() {
        None | Some("") => String::new(),
        Some(_) => part(&status(claim)),
    }
}
