//! Permissions in one namespace.

use api::{KindDef, Rules};
use k8s_openapi::api::rbac::v1::Role;

use super::rules;
use crate::table::{created_at, name};

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<Role>(&RULES);

const RULES: Rules<Role> = Rules {
    validate: |role, _, errors| rules::policies(role.rules.as_deref(), true, errors),
    columns: &[name(), created_at()],
    ..Rules::NONE
};
