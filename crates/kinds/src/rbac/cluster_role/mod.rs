//! Permissions in the whole cluster.

pub mod controller;

use api::{KindDef, Rules};
use k8s_openapi::api::rbac::v1::ClusterRole;

use super::rules;
use crate::table::{created_at, name};

/// The kind's definition.
pub const KIND: KindDef = KindDef::cluster::<ClusterRole>(&RULES);

const RULES: Rules<ClusterRole> = Rules {
    validate: |role, _, errors| rules::policies(role.rules.as_deref(), false, errors),
    columns: &[name(), created_at()],
    ..Rules::NONE
};
