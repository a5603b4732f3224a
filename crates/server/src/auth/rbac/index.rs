//! Which rules each user and group has, cluster-wide and per namespace.

use std::collections::HashMap;
use std::sync::Arc;

use api::selector::LabelSelector;
use api::view::Listed;
use api::{GroupKind, View};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject};

use super::rule::Rule;
use crate::auth::Decision;
use crate::{Attributes, User};

type Rules = Arc<[Rule]>;

/// What one subject has through one binding.
pub struct Grant {
    /// The role's rules; none when there is no such role.
    pub rules: Rules,
    /// `ClusterRoleBinding "b" of ClusterRole "r" to Group "g"`.
    described: String,
    /// Why there are no rules.
    missing: Option<String>,
}

/// Grants by subject.
#[derive(Default)]
struct Grants {
    users: HashMap<String, Vec<Grant>>,
    groups: HashMap<String, Vec<Grant>>,
}

impl Grants {
    fn of<'a>(&'a self, user: &'a User) -> impl Iterator<Item = &'a Grant> {
        let groups = user.groups.iter().filter_map(|group| self.groups.get(group));
        self.users.get(&user.name).into_iter().chain(groups).flatten()
    }

    fn add(&mut self, namespace: &str, subject: &Subject, grant: Grant) {
        if subject.kind == "Group" {
            self.groups.entry(subject.name.clone()).or_default().push(grant);
        } else {
            self.users.entry(user_name(namespace, subject)).or_default().push(grant);
        }
    }
}

/// All roles and bindings of one view.
pub struct Index {
    cluster: Grants,
    namespaces: HashMap<String, Grants>,
    cluster_roles: HashMap<String, Rules>,
    roles: HashMap<(String, String), Rules>,
}

impl Index {
    /// Reads a view's roles and bindings.
    pub fn new(view: &View) -> Self {
        let mut index = Self {
            cluster: Grants::default(),
            namespaces: HashMap::new(),
            cluster_roles: cluster_roles(view),
            roles: HashMap::new(),
        };
        for role in all::<Role>(view) {
            let (namespace, name) = (&role.metadata.namespace, &role.metadata.name);
            let key = (namespace.clone().unwrap_or_default(), name.clone().unwrap_or_default());
            index.roles.insert(key, rules_of(role.rules.as_deref()));
        }
        for binding in all::<ClusterRoleBinding>(view) {
            let name = binding.metadata.name.as_deref().unwrap_or_default();
            let title = format!("ClusterRoleBinding {name:?}");
            for subject in binding.subjects.iter().flatten() {
                let grant = index.grant(&title, "", &binding.role_ref, subject);
                index.cluster.add("", subject, grant);
            }
        }
        for binding in all::<RoleBinding>(view) {
            let name = binding.metadata.name.as_deref().unwrap_or_default();
            let namespace = binding.metadata.namespace.as_deref().unwrap_or_default();
            let title = format!("RoleBinding {:?}", format!("{name}/{namespace}"));
            for subject in binding.subjects.iter().flatten() {
                let grant = index.grant(&title, namespace, &binding.role_ref, subject);
                index.namespaces.entry(namespace.to_owned()).or_default().add(namespace, subject, grant);
            }
        }
        index
    }

    fn grant(&self, title: &str, namespace: &str, role: &RoleRef, subject: &Subject) -> Grant {
        let described =
            format!("{title} of {} {:?} to {}", role.kind, role.name, described_subject(namespace, subject));
        match self.role(namespace, role) {
            Ok(rules) => Grant { rules: Arc::clone(rules), described, missing: None },
            Err(missing) => Grant { rules: Arc::new([]), described, missing: Some(missing) },
        }
    }

    /// The rules of the role that a binding in `namespace` (empty for cluster-wide) refers to.
    ///
    /// # Errors
    /// When there is no such role.
    pub fn role(&self, namespace: &str, role: &RoleRef) -> Result<&Rules, String> {
        let found = if role.kind == "ClusterRole" {
            self.cluster_roles.get(&role.name)
        } else {
            self.roles.get(&(namespace.to_owned(), role.name.clone()))
        };
        found.ok_or_else(|| format!("{}.rbac.authorization.k8s.io {:?} not found", role.kind.to_lowercase(), role.name))
    }

    /// What a user has: cluster-wide, and in one namespace unless that is empty.
    pub fn grants<'a>(&'a self, user: &'a User, namespace: &str) -> impl Iterator<Item = &'a Grant> {
        let namespaced = if namespace.is_empty() { None } else { self.namespaces.get(namespace) };
        self.cluster.of(user).chain(namespaced.into_iter().flat_map(|grants| grants.of(user)))
    }

    /// Decides by the rules alone.
    pub fn decide(&self, user: &User, attributes: &Attributes) -> Decision {
        let mut missing: Vec<&str> = Vec::new();
        for grant in self.grants(user, &attributes.namespace) {
            if grant.rules.iter().any(|rule| rule.matches(attributes)) {
                return Decision::allow(format!("RBAC: allowed by {}", grant.described));
            }
            if let Some(why) = grant.missing.as_deref().filter(|why| !missing.contains(why)) {
                missing.push(why);
            }
        }
        match missing.as_slice() {
            [] => Decision::default(),
            [one] => Decision::no(format!("RBAC: {one}")),
            many => Decision::no(format!("RBAC: [{}]", many.join(", "))),
        }
    }
}

/// All objects of a type, or none when the catalogue lacks it.
fn all<K: Listed>(view: &View) -> impl Iterator<Item = &K> {
    let kind = view.kind_id(GroupKind::of::<K>());
    kind.into_iter().flat_map(|kind| view.objects(kind)).filter_map(|object| object.typed())
}

fn rules_of(rules: Option<&[PolicyRule]>) -> Rules {
    rules.unwrap_or_default().iter().map(Rule::from).collect()
}

/// The rules of every ClusterRole, those that it aggregates included.
fn cluster_roles(view: &View) -> HashMap<String, Rules> {
    let roles: Vec<&ClusterRole> = all::<ClusterRole>(view).collect();
    let rules = |role: &ClusterRole| {
        let mut rules = Vec::new();
        collect(role, &roles, &mut Vec::new(), &mut rules);
        rules.into()
    };
    roles.iter().map(|role| (role.metadata.name.clone().unwrap_or_default(), rules(role))).collect()
}

/// Adds a role's rules; those of an aggregated role are the rules of the roles that it selects, whatever it lists
/// itself. `seen` ends cycles.
fn collect<'a>(role: &'a ClusterRole, all: &[&'a ClusterRole], seen: &mut Vec<&'a str>, rules: &mut Vec<Rule>) {
    let name = role.metadata.name.as_deref().unwrap_or_default();
    if seen.contains(&name) {
        return;
    }
    seen.push(name);
    let Some(aggregation) = &role.aggregation_rule else {
        for rule in role.rules.iter().flatten().map(Rule::from) {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        return;
    };
    let selectors = aggregation.cluster_role_selectors.iter().flatten();
    for selector in selectors.filter_map(|selector| LabelSelector::from_object(selector).ok()) {
        for selected in all.iter().filter(|other| selector.matches_map(other.metadata.labels.as_ref())) {
            collect(selected, all, seen, rules);
        }
    }
}

/// The name under which a subject that is no group makes requests.
fn user_name(namespace: &str, subject: &Subject) -> String {
    if subject.kind != "ServiceAccount" {
        return subject.name.clone();
    }
    let namespace = subject.namespace.as_deref().filter(|own| !own.is_empty()).unwrap_or(namespace);
    format!("system:serviceaccount:{namespace}:{}", subject.name)
}

fn described_subject(namespace: &str, subject: &Subject) -> String {
    if subject.kind != "ServiceAccount" {
        return format!("{} {:?}", subject.kind, subject.name);
    }
    let namespace = subject.namespace.as_deref().filter(|own| !own.is_empty()).unwrap_or(namespace);
    format!("ServiceAccount {:?}", format!("{}/{namespace}", subject.name))
}
