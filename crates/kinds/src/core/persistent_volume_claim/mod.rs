//! A request for storage.

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::PersistentVolumeClaim;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<PersistentVolumeClaim>(&Rules::NONE).short(&["pvc"]).with_status();
