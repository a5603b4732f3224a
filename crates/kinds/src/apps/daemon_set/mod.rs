//! One pod on every node that fits.

pub mod controller;
mod placing;
mod status;
mod update;

use api::{KindDef, Rules};
use k8s_openapi::api::apps::v1::DaemonSet;

/// The kind's definition.
pub const KIND: KindDef =
    KindDef::namespaced::<DaemonSet>(&Rules::NONE).short(&["ds"]).in_all().with_status().with_generation();
