//! Nobody grants what they do not have: the check on writing roles and bindings.
//!
//! Whoever writes a role must hold every rule in it, or have the verb `escalate` on the role; whoever writes a
//! binding must hold every rule of the role bound, or have the verb `bind` on it.

use api::{Status, View};
use k8s_openapi::api::rbac::v1::{PolicyRule, RoleRef};
use serde::Deserialize;
use serde_json::Value;

use super::rbac::{Rule, quoted, uncovered};
use super::{State, decide, forbidden};
use crate::{Attributes, User};

const GROUP: &str = "rbac.authorization.k8s.io";

/// Checks a create or update of a Role, ClusterRole, RoleBinding or ClusterRoleBinding; anything else passes.
/// `old` is `None` on create.
///
/// # Errors
/// 403 that lists what is not held.
pub fn check(
    state: &State,
    view: &View,
    user: &User,
    attributes: &Attributes,
    new: &Value,
    old: Option<&Value>,
) -> Result<(), Status> {
    if attributes.group != GROUP || !attributes.subresource.is_empty() || user.in_group("system:masters") {
        return Ok(());
    }
    let granting =
        Granting { state, view, user, attributes, name: new["metadata"]["name"].as_str().unwrap_or_default() };
    let same = |field: &str| old.is_some_and(|old| old[field] == new[field]);
    match attributes.resource.as_str() {
        "roles" | "clusterroles" if same("rules") && same("aggregationRule") => Ok(()),
        "roles" | "clusterroles" => granting.role(new),
        "rolebindings" | "clusterrolebindings" if same("subjects") && same("roleRef") => Ok(()),
        "rolebindings" | "clusterrolebindings" => granting.binding(new),
        _ => Ok(()),
    }
}

struct Granting<'a> {
    state: &'a State,
    view: &'a View,
    user: &'a User,
    attributes: &'a Attributes,
    name: &'a str,
}

impl Granting<'_> {
    fn role(&self, new: &Value) -> Result<(), Status> {
        if self.may("escalate", &self.attributes.resource, self.name) {
            return Ok(());
        }
        if !new["aggregationRule"].is_null() {
            let everything = vec!["*".to_owned()];
            let all = Rule { verbs: everything.clone(), urls: everything.clone(), ..Rule::default() };
            let all_resources = Rule { groups: everything.clone(), resources: everything, ..all.clone() };
            let all_resources = Rule { urls: Vec::new(), ..all_resources };
            return self
                .held(&[all_resources, all])
                .map_err(|_| self.refusal("must have cluster-admin privileges to use the aggregationRule"));
        }
        let rules = Vec::<PolicyRule>::deserialize(&new["rules"]).unwrap_or_default();
        let rules: Vec<Rule> = rules.iter().map(Rule::from).collect();
        self.held(&rules)
    }

    fn binding(&self, new: &Value) -> Result<(), Status> {
        let Ok(role) = RoleRef::deserialize(&new["roleRef"]) else { return Ok(()) }; // Validation says what is wrong.
        let plural = if role.kind == "ClusterRole" { "clusterroles" } else { "roles" };
        if self.may("bind", plural, &role.name) {
            return Ok(());
        }
        let index = self.state.rbac.index(self.view);
        match index.role(&self.attributes.namespace, &role) {
            Ok(rules) => self.held(rules),
            Err(why) => {
                Err(Status::not_found(GROUP, plural, &role.name)).map_err(|status| Status { message: why, ..status })
            }
        }
    }

    fn may(&self, verb: &str, resource: &str, name: &str) -> bool {
        let asked = Attributes {
            verb: verb.to_owned(),
            is_resource: true,
            group: GROUP.to_owned(),
            version: "v1".to_owned(),
            resource: resource.to_owned(),
            namespace: self.attributes.namespace.clone(),
            name: name.to_owned(),
            ..Attributes::default()
        };
        decide(self.state, self.view, self.user, &asked).allowed
    }

    fn held(&self, wanted: &[Rule]) -> Result<(), Status> {
        let index = self.state.rbac.index(self.view);
        let grants: Vec<_> = index.grants(self.user, &self.attributes.namespace).collect();
        let held: Vec<&Rule> = grants.iter().flat_map(|grant| grant.rules.iter()).collect();
        let missing = uncovered(&held, wanted);
        if missing.is_empty() {
            return Ok(());
        }
        let missing: Vec<String> = missing.iter().map(Rule::to_string).collect();
        Err(self.refusal(&format!(
            "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
            self.user.name,
            quoted(&self.user.groups),
            missing.join("\n")
        )))
    }

    fn refusal(&self, detail: &str) -> Status {
        forbidden::about(GROUP, &self.attributes.resource, self.name, detail)
    }
}
