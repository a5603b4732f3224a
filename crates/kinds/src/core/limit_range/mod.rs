//! Bounds and defaults for the resources of one namespace's pods.

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::LimitRange;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<LimitRange>(&Rules::NONE).short(&["limits"]);
