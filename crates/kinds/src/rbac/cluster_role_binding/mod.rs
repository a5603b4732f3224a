//! Who has a ClusterRole everywhere.

use api::{KindDef, Rules};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use serde_json::Value;

use super::rules::{self, subjects};
use crate::table::{age, name, string, wide};

/// The kind's definition.
pub const KIND: KindDef = KindDef::cluster::<ClusterRoleBinding>(&RULES);

const RULES: Rules<ClusterRoleBinding> = Rules {
    defaults: rules::binding_defaults,
    prepare: |_, _| {},
    validate: |binding, old, errors| {
        let subjects = binding.subjects.as_deref();
        rules::binding(&binding.role_ref, old.map(|old| &old.role_ref), subjects, &["ClusterRole"], errors);
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
