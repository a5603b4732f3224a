//! Permissions in one namespace.

use api::{KindDef, Rules};
use k8s_openapi::api::rbac::v1::Role;

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<Role>(&Rules::NONE);
