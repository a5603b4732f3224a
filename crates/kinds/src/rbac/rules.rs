//! What roles allow and whom bindings mean: the same in one namespace and everywhere.

use api::{FieldErrors, Path};
use k8s_openapi::api::rbac::v1::{PolicyRule, RoleRef, Subject};
use serde_json::Value;

use crate::checks;
use crate::value::{at, default_text, each, text};

/// The group of roles and of the users and groups of bindings.
const GROUP: &str = "rbac.authorization.k8s.io";

/// Groups of roles and subjects can be left out.
pub fn binding_defaults(binding: &mut Value) {
    at(binding, "roleRef").into_iter().for_each(|role| default_text(role, "apiGroup", GROUP));
    for subject in each(binding, "subjects") {
        if ["User", "Group"].contains(&text(subject, "kind")) {
            default_text(subject, "apiGroup", GROUP);
        }
    }
}

/// Reports what is wrong with the rules of a role.
pub fn policies(rules: Option<&[PolicyRule]>, namespaced: bool, errors: &mut FieldErrors) {
    for (index, rule) in rules.into_iter().flatten().enumerate() {
        policy(rule, namespaced, &Path::new("rules").index(index), errors);
    }
}

fn policy(rule: &PolicyRule, namespaced: bool, path: &Path, errors: &mut FieldErrors) {
    let some = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    if rule.verbs.is_empty() {
        errors.required(&path.child("verbs"), "verbs must contain at least one value");
    }
    if some(&rule.non_resource_urls) {
        let path = path.child("nonResourceURLs");
        let urls = checks::json(&rule.non_resource_urls);
        if namespaced {
            errors.invalid(&path, urls.clone(), "namespaced rules cannot apply to non-resource URLs");
        }
        if some(&rule.api_groups) || some(&rule.resources) || some(&rule.resource_names) {
            errors.invalid(&path, urls, "rules cannot apply to both regular resources and non-resource URLs");
        }
        return;
    }
    if !some(&rule.api_groups) {
        errors.required(&path.child("apiGroups"), "resource rules must supply at least one api group");
    }
    if !some(&rule.resources) {
        errors.required(&path.child("resources"), "resource rules must supply at least one resource");
    }
}

/// Reports what is wrong with a binding to one of the kinds of `roles`.
pub fn binding(
    role: &RoleRef,
    old: Option<&RoleRef>,
    subjects: Option<&[Subject]>,
    roles: &[&str],
    errors: &mut FieldErrors,
) {
    let path = Path::new("roleRef");
    let group = role.api_group.as_deref().unwrap_or_default();
    if group != GROUP {
        errors.not_supported(&path.child("apiGroup"), group, &[GROUP]);
    }
    if !roles.contains(&role.kind.as_str()) {
        errors.not_supported(&path.child("kind"), role.kind.as_str(), roles);
    }
    if role.name.is_empty() {
        errors.required(&path.child("name"), "");
    }
    if old.is_some_and(|old| old != role) {
        errors.invalid(&path, checks::json(role), "cannot change roleRef");
    }
    for (index, one) in subjects.into_iter().flatten().enumerate() {
        subject(one, &Path::new("subjects").index(index), errors);
    }
}

fn subject(subject: &Subject, path: &Path, errors: &mut FieldErrors) {
    if subject.name.is_empty() {
        errors.required(&path.child("name"), "");
    }
    let group = subject.api_group.as_deref().unwrap_or_default();
    match subject.kind.as_str() {
        "ServiceAccount" => {
            if !subject.name.is_empty() {
                checks::name(errors, &path.child("name"), &subject.name, checks::SUBDOMAIN);
            }
            if !group.is_empty() {
                errors.not_supported(&path.child("apiGroup"), group, &[""]);
            }
            if subject.namespace.as_deref().unwrap_or_default().is_empty() {
                errors.required(&path.child("namespace"), "");
            }
        }
        "User" | "Group" if group == GROUP => {}
        "User" | "Group" => errors.not_supported(&path.child("apiGroup"), group, &[GROUP]),
        kind => errors.not_supported(&path.child("kind"), kind, &["Group", "ServiceAccount", "User"]),
    }
}

/// Names of the subjects of one kind, as a cell.
pub fn subjects(subjects: Option<&[Subject]>, kind: &str) -> Value {
    let of_kind = subjects.into_iter().flatten().filter(|subject| subject.kind == kind);
    let names: Vec<String> = of_kind
        .map(|subject| match subject.namespace.as_deref() {
            Some(namespace) if kind == "ServiceAccount" => format!("{namespace}/{}", subject.name),
            _ => subject.name.clone(),
        })
        .collect();
    Value::from(names.join(", "))
}
