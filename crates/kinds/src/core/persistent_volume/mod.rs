//! Storage that exists apart from any pod.

pub mod rules;

use std::collections::BTreeMap;

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::Value;

use crate::table::{UNSET, age, name, string, text, text_or, wide};

/// The kind's definition.
pub const KIND: KindDef = KindDef::cluster::<PersistentVolume>(&RULES).short(&["pv"]).with_status();

const RULES: Rules<PersistentVolume> = Rules {
    defaults: rules::defaults,
    prepare: rules::prepare,
    validate: rules::validate,
    columns: &[
        name(),
        string("Capacity", |volume, _| Value::from(storage(spec(volume).capacity.as_ref()))),
        string("Access Modes", |volume, _| Value::from(access_modes(spec(volume).access_modes.as_deref()))),
        string("Reclaim Policy", |volume, _| text(&spec(volume).persistent_volume_reclaim_policy)),
        string("Status", |volume, _| match &volume.metadata.deletion_timestamp {
            Some(_) => Value::from("Terminating"),
            None => text(&volume.status.as_ref().and_then(|status| status.phase.clone())),
        }),
        string("Claim", |volume, _| {
            let claim = spec(volume).claim_ref;
            let part = |text: Option<String>| text.unwrap_or_default();
            let shown = claim.map(|claim| format!("{}/{}", part(claim.namespace), part(claim.name)));
            Value::from(shown.unwrap_or_default())
        }),
        string("StorageClass", |volume, _| text(&spec(volume).storage_class_name)),
        string("VolumeAttributesClass", |volume, _| text_or(&spec(volume).volume_attributes_class_name, UNSET)),
        string("Reason", |volume, _| text(&volume.status.as_ref().and_then(|status| status.reason.clone()))),
        age(),
        wide(string("VolumeMode", |volume, _| text_or(&spec(volume).volume_mode, UNSET))),
    ],
};

fn spec(volume: &PersistentVolume) -> PersistentVolumeSpec {
    volume.spec.clone().unwrap_or_default()
}

/// How much storage a list of amounts has, as a cell.
pub fn storage(amounts: Option<&BTreeMap<String, Quantity>>) -> String {
    amounts.and_then(|amounts| amounts.get("storage")).map_or_else(|| "0".to_owned(), |amount| amount.0.clone())
}

/// The short forms of access modes, each once, as a cell.
pub fn access_modes(modes: Option<&[String]>) -> String {
    let known =
        [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")];
    let has = |mode: &str| modes.is_some_and(|modes| modes.iter().any(|one| one == mode));
    let short: Vec<&str> = known.iter().filter(|(mode, _)| has(mode)).map(|(_, short)| *short).collect();
    short.join(",")
}
