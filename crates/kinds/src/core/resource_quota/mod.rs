//! Bounds for what a namespace may use in sum.

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::ResourceQuota;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<ResourceQuota>(&Rules::NONE).short(&["quota"]).with_status();
