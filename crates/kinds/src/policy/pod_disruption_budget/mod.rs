//! How many pods of an application may be away on purpose.

use api::{KindDef, Rules};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;

/// The kind's definition.
pub const KIND: KindDef =
    KindDef::namespaced::<PodDisruptionBudget>(&Rules::NONE).short(&["pdb"]).with_status().with_generation();
