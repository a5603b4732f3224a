//! HTTP routes from outside to Services.

use api::{KindDef, Rules};
use k8s_openapi::api::networking::v1::Ingress;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<Ingress>(&Rules::NONE).short(&["ing"]).with_status().with_generation();
