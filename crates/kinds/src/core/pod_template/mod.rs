//! The template from which controllers make pods: the kind `PodTemplate`, and what every template shares.

use api::{KindDef, Rules};
use k8s_openapi::api::core::v1::PodTemplate;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<PodTemplate>(&Rules::NONE);
