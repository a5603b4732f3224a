//! Permissions in the whole cluster.

use api::{KindDef, Rules};
use k8s_openapi::api::rbac::v1::ClusterRole;

/// The kind's definition.
pub const KIND: KindDef = KindDef::cluster::<ClusterRole>(&Rules::NONE);
