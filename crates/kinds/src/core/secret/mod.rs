//! Configuration that is not for everybody's eyes.

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::Secret;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<Secret>(&Rules::NONE).select_by(&["type"]);
