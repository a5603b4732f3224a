//! A scope for names.

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::Namespace;

/// The kind's definition.
pub const KIND: KindDef =
    KindDef::cluster::<Namespace>(&Rules::NONE).short(&["ns"]).with_status().select_by(&["status.phase"]);
