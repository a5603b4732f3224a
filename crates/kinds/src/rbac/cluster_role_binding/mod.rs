//! Who has a ClusterRole everywhere.

use api::{KindDef, Rules};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;

/// The kind's definition.
pub const KIND: KindDef = KindDef::cluster::<ClusterRoleBinding>(&Rules::NONE);
