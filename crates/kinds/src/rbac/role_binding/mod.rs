//! Who has a role in one namespace.

use api::{KindDef, Rules};
use k8s_openapi::api::rbac::v1::RoleBinding;
use serde_json::Value;

use super::rules::{self, subjects};
use crate::table::{age, name, string, wide};

/// The kind's definition.
pub const KIND: KindDef = KindDef::namespaced::<RoleBinding>(&RULES);

const RULES: Rules<RoleBinding> = Rules {
    defaults: rules::binding_defaults,
    prepare: |_, _| {},
    validate: |binding, old, errors| {
        let subjects = binding.subjects.as_deref();
        rules::binding(&binding.role_ref, old.map(|old| &old.role_ref), subjects, &["ClusterRole", "Role"], errors);
    },
    columns: &[
        name(),
        string("Role", |binding, _| Value::from(format!("{}/{}", binding.role_ref.kind, binding.role_ref.name))),
        age(),
        wide(string("Users", |binding, _| subjects(binding.subjects.as_deref(), "User"))),
        wide(string("Groups", |binding, _| subjects(binding.subjects.as_deref(), "Group"))),
        wide(string("ServiceAccounts", |binding, _| subjects(binding.subjects.as_deref(), "ServiceAccount"))),
    ],
};
