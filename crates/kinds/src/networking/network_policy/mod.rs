//! Which pods may talk to which.

use api::{KindDef, Rules};
use k8s_openapi::api::networking::v1::NetworkPolicy;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<NetworkPolicy>(&Rules::NONE).short(&["netpol"]).with_generation();
