//! The roles and bindings that every cluster starts with, and their repair at start.
//!
//! The tables are Kubernetes 1.37's default policy. At start each object that is missing is created; one that carries
//! `rbac.authorization.kubernetes.io/autoupdate: "true"` gets what it lacks back, and keeps what was added to it.

mod cluster;
mod controllers;
mod namespaced;

use api::{Change, GroupKind, Key, Subresource, View};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding};
use serde::Deserialize;
use serde_json::{Value, json};

use super::rbac::{Rule, uncovered};

const GROUP: &str = "rbac.authorization.k8s.io";
const AUTO_UPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// One rule of the default policy. Lists are words separated by spaces; the group `core` is the one without a name.
enum Grant {
    /// Verbs on resources of groups.
    On(&'static str, &'static str, &'static str),
    /// Verbs on resources of a group with these names.
    Named(&'static str, &'static str, &'static str, &'static str),
    /// Verbs on paths.
    Urls(&'static str, &'static str),
    /// What everybody has who records events.
    Events,
}

/// A default ClusterRole, and who has it.
struct Facts {
    name: &'static str,
    /// For each word the label `aggregate-to-X` that puts the role into an aggregated one.
    part_of: &'static str,
    /// Collects the roles that are part of this name.
    collects: &'static str,
    grants: &'static [Grant],
    /// `user:NAME`, `group:NAME` and `account:NAME` (in kube-system), separated by spaces. Empty makes no binding;
    /// `-` makes a binding of nobody.
    bound_to: &'static str,
}

impl Facts {
    const fn new(name: &'static str, grants: &'static [Grant], bound_to: &'static str) -> Self {
        Self { name, part_of: "", collects: "", grants, bound_to }
    }

    const fn part(name: &'static str, part_of: &'static str, grants: &'static [Grant]) -> Self {
        Self { name, part_of, collects: "", grants, bound_to: "" }
    }

    const fn collecting(name: &'static str, part_of: &'static str) -> Self {
        Self { name, part_of, collects: name, grants: &[], bound_to: "" }
    }
}

/// A default Role of one namespace, with the binding that gives it.
struct NamespacedFacts {
    namespace: &'static str,
    name: &'static str,
    grants: &'static [Grant],
    /// The binding's name where it differs.
    binding: &'static str,
    bound_to: &'static str,
}

/// Roles and bindings that every cluster starts with, as objects to create when absent.
pub fn bootstrap_roles() -> Vec<Value> {
    let cluster: Vec<&Facts> = cluster::ROLES.iter().chain(controllers::ROLES).collect();
    let mut objects: Vec<Value> = cluster.iter().map(|facts| cluster_role(facts, &cluster)).collect();
    objects.extend(cluster.iter().filter(|facts| !facts.bound_to.is_empty()).map(|facts| {
        let mut binding = object("ClusterRoleBinding", facts.name, "");
        binding["roleRef"] = json!({"apiGroup": GROUP, "kind": "ClusterRole", "name": facts.name});
        bind(binding, facts.bound_to)
    }));
    for facts in namespaced::ROLES {
        let mut role = object("Role", facts.name, facts.namespace);
        role["rules"] = rules(facts.grants);
        let name = if facts.binding.is_empty() { facts.name } else { facts.binding };
        let mut binding = object("RoleBinding", name, facts.namespace);
        binding["roleRef"] = json!({"apiGroup": GROUP, "kind": "Role", "name": facts.name});
        objects.push(role);
        if !facts.bound_to.is_empty() {
            objects.push(bind(binding, facts.bound_to));
        }
    }
    objects
}

/// What is to be written so that a view has the default policy.
pub fn bootstrap_changes(view: &View) -> Vec<Change> {
    bootstrap_roles().into_iter().filter_map(|wanted| reconciled(view, wanted)).collect()
}

fn reconciled(view: &View, wanted: Value) -> Option<Change> {
    let kind = match wanted["kind"].as_str().unwrap_or_default() {
        "ClusterRole" => GroupKind::of::<ClusterRole>(),
        "ClusterRoleBinding" => GroupKind::of::<ClusterRoleBinding>(),
        "Role" => GroupKind::of::<Role>(),
        _ => GroupKind::of::<RoleBinding>(),
    };
    let text = |field: &str| wanted["metadata"][field].as_str().unwrap_or_default();
    let key = Key::new(view.kind_id(kind)?, text("namespace"), text("name"));
    let Some(found) = view.object(&key) else { return Some(Change::Create(wanted)) };
    let mut object = found.value();
    if object["metadata"]["annotations"][AUTO_UPDATE] != "true" {
        return None;
    }
    let before = object.clone();
    for field in ["labels", "annotations"] {
        for (name, value) in wanted["metadata"][field].as_object().into_iter().flatten() {
            object["metadata"][field][name] = value.clone();
        }
    }
    if !wanted["aggregationRule"].is_null() {
        object["aggregationRule"] = wanted["aggregationRule"].clone();
    } else if !wanted["rules"].is_null() {
        add_rules(&mut object, &wanted["rules"]);
    }
    if !wanted["subjects"].is_null() {
        add_missing(&mut object["subjects"], &wanted["subjects"]);
    }
    (object != before).then_some(Change::Update(object, Subresource::Main))
}

fn add_rules(object: &mut Value, wanted: &Value) {
    let read = |rules: &Value| -> Vec<Rule> {
        let rules = Vec::<PolicyRule>::deserialize(rules).unwrap_or_default();
        rules.iter().map(Rule::from).collect()
    };
    let held = read(&object["rules"]);
    let held: Vec<&Rule> = held.iter().collect();
    if uncovered(&held, &read(wanted)).is_empty() {
        return;
    }
    add_missing(&mut object["rules"], wanted);
}

/// Appends the elements of `wanted` that `list` lacks.
fn add_missing(list: &mut Value, wanted: &Value) {
    let mut all = list.as_array().cloned().unwrap_or_default();
    let missing: Vec<Value> =
        wanted.as_array().into_iter().flatten().filter(|one| !all.contains(one)).cloned().collect();
    if !missing.is_empty() {
        all.extend(missing);
        *list = Value::Array(all);
    }
}

fn object(kind: &str, name: &str, namespace: &str) -> Value {
    let mut metadata = json!({
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {AUTO_UPDATE: "true"},
    });
    if !namespace.is_empty() {
        metadata["namespace"] = json!(namespace);
    }
    json!({"apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": metadata})
}

fn cluster_role(facts: &Facts, all: &[&Facts]) -> Value {
    let mut role = object("ClusterRole", facts.name, "");
    for whole in facts.part_of.split_whitespace() {
        role["metadata"]["labels"][format!("{GROUP}/aggregate-to-{whole}")] = json!("true");
    }
    if facts.collects.is_empty() {
        role["rules"] = rules(facts.grants);
    } else {
        let label = format!("{GROUP}/aggregate-to-{}", facts.collects);
        role["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]});
        role["rules"] = Value::Array(collected(facts, all));
    }
    role
}

/// The rules of an aggregated role, as the controller that maintains them would write them.
fn collected(facts: &Facts, all: &[&Facts]) -> Vec<Value> {
    let parts = all.iter().filter(|other| other.part_of.split_whitespace().any(|whole| whole == facts.collects));
    parts
        .flat_map(|part| match rules(part.grants) {
            Value::Array(own) if part.collects.is_empty() => own,
            _ => collected(part, all),
        })
        .fold(Vec::new(), |mut rules, rule| {
            if !rules.contains(&rule) {
                rules.push(rule);
            }
            rules
        })
}

fn rules(grants: &[Grant]) -> Value {
    grants.iter().map(rule).collect()
}

fn rule(grant: &Grant) -> Value {
    match grant {
        Grant::On(verbs, groups, resources) => {
            json!({"apiGroups": words(groups), "resources": words(resources), "verbs": words(verbs)})
        }
        Grant::Named(verbs, group, resources, names) => json!({
            "apiGroups": words(group),
            "resourceNames": words(names),
            "resources": words(resources),
            "verbs": words(verbs),
        }),
        Grant::Urls(verbs, urls) => json!({"nonResourceURLs": words(urls), "verbs": words(verbs)}),
        Grant::Events => rule(&Grant::On("create patch update", "core events.k8s.io", "events")),
    }
}

fn words(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text.split(' ').map(|word| if word == "core" { "" } else { word }).collect();
    words.sort_unstable();
    words
}

fn bind(mut binding: Value, bound_to: &str) -> Value {
    let subjects: Vec<Value> = bound_to
        .split(' ')
        .filter_map(|subject| subject.split_once(':'))
        .map(|(kind, name)| match kind {
            "account" => json!({"kind": "ServiceAccount", "name": name, "namespace": "kube-system"}),
            "group" => json!({"apiGroup": GROUP, "kind": "Group", "name": name}),
            _ => json!({"apiGroup": GROUP, "kind": "User", "name": name}),
        })
        .collect();
    if !subjects.is_empty() {
        binding["subjects"] = Value::Array(subjects);
    }
    binding
}

#[cfg(test)]
mod cases;
