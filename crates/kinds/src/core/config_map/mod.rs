//! Configuration that pods read: text and bytes by key.

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::ConfigMap;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<ConfigMap>(&Rules::NONE).short(&["cm"]);
