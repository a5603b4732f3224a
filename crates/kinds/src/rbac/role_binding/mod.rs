//! Who has a role in one namespace.

use api::{KindDef, Rules};
use k8s_openapi::api::rbac::v1::RoleBinding;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<RoleBinding>(&Rules::NONE);
