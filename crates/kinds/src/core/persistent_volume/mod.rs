//! Storage that exists apart from any pod.

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::PersistentVolume;

/// The kind's definition.
pub const KIND: KindDef = KindDef::cluster::<PersistentVolume>(&Rules::NONE).short(&["pv"]).with_status();
