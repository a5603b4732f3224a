//! A machine that runs pods.

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::Node;

/// The kind's definition.
pub const KIND: KindDef =
    KindDef::cluster::<Node>(&Rules::NONE).short(&["no"]).with_status().select_by(&["spec.unschedulable"]);
