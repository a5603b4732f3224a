//! A named priority of pods.

use api::{KindDef, Rules};
use k8s_openapi::api::scheduling::v1::PriorityClass;

/// The kind's definition.
pub const KIND: KindDef = KindDef::cluster::<PriorityClass>(&Rules::NONE).short(&["pc"]).with_generation();
