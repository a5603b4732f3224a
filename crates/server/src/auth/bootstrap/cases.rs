//! The default policy holds what Kubernetes promises, and is repaired.

use std::collections::HashSet;

use api::Change;
use serde_json::{Value, json};

use super::{bootstrap_changes, bootstrap_roles};
use crate::auth::decide;
use crate::auth::world::{add, asked, state, user, view};

const CASES: &[(&str, &str, bool)] = &[
    ("system:anonymous system:unauthenticated", "get /healthz", true),
    ("system:anonymous system:unauthenticated", "get /readyz", true),
    ("system:anonymous system:unauthenticated", "get /version", true),
    ("system:anonymous system:unauthenticated", "get /readyz/etcd", false),
    ("system:anonymous system:unauthenticated", "get /apis", false),
    ("jane system:authenticated", "get /apis/apps/v1", true),
    ("jane system:authenticated", "get /openapi/v3", true),
    ("jane system:authenticated", "create -/selfsubjectreviews.authentication.k8s.io", true),
    ("jane system:authenticated", "list -/pods", false),
    ("system:kube-scheduler", "create shop/pods:binding/web", true),
    ("system:kube-scheduler", "delete -/nodes/one", false),
    ("system:serviceaccount:kube-system:deployment-controller", "create shop/replicasets.apps", true),
    ("system:serviceaccount:kube-system:deployment-controller", "create shop/pods", false),
    ("system:serviceaccount:kube-system:replicaset-controller", "create shop/pods", true),
    ("system:serviceaccount:kube-system:namespace-controller", "deletecollection shop/anything.acme.com", true),
    ("prometheus system:monitoring", "get /metrics", true),
];

#[test]
fn everybody_has_what_they_need() {
    let (state, view) = (state(), view(bootstrap_roles()));
    for (who, what, allowed) in CASES {
        assert_eq!(decide(&state, &view, &user(who), &asked(what)).allowed, *allowed, "{who}: {what}");
    }
}

#[test]
fn admins_edit_and_editors_view() {
    let bind = |role: &str| {
        json!({
            "kind": "RoleBinding",
            "metadata": {"namespace": "shop", "name": role},
            "roleRef": {"kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "User", "name": role}],
        })
    };
    let view = view(bootstrap_roles().into_iter().chain(["admin", "edit", "view"].map(bind)));
    let state = state();
    let who = |what: &str| {
        let may = |role: &&str| decide(&state, &view, &user(role), &asked(what)).allowed;
        ["admin", "edit", "view"].iter().filter(|role| may(role)).copied().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(who("get shop/pods/web"), "admin edit view");
    assert_eq!(who("get shop/pods:log/web"), "admin edit view");
    assert_eq!(who("create shop/pods:exec/web"), "admin edit");
    assert_eq!(who("list shop/pods.metrics.k8s.io"), "admin edit view");
    assert_eq!(who("get shop/secrets/s"), "admin edit");
    assert_eq!(who("create shop/deployments.apps"), "admin edit");
    assert_eq!(who("create shop/rolebindings.rbac.authorization.k8s.io"), "admin");
    assert_eq!(who("get shop/nodes/one"), "");
    assert_eq!(who("get other/pods/web"), "");
}

#[test]
fn names_are_unique_and_aggregated_roles_list_their_rules() {
    let objects = bootstrap_roles();
    let key = |one: &Value| format!("{} {} {}", one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]);
    let names: HashSet<String> = objects.iter().map(key).collect();
    assert_eq!(names.len(), objects.len());
    let admin = objects.iter().find(|one| one["metadata"]["name"] == "admin").unwrap();
    assert!(admin["rules"].as_array().unwrap().len() > 20);
}

#[test]
fn what_was_taken_away_comes_back_and_what_was_added_stays() {
    let mut all = bootstrap_roles();
    let at = all.iter().position(|one| one["metadata"]["name"] == "system:basic-user").unwrap();
    let whole = all[at].clone();
    all[at]["rules"] = json!([{"apiGroups": ["acme.com"], "resources": ["things"], "verbs": ["get"]}]);
    let gone = all.pop().unwrap();
    let mut view = view(all);
    let changes = bootstrap_changes(&view);
    assert_eq!(changes.len(), 2);
    for change in changes {
        match change {
            Change::Create(object) => assert_eq!(object, gone),
            Change::Update(object, _) => {
                assert_eq!(object["rules"].as_array().unwrap().len(), whole["rules"].as_array().unwrap().len() + 1);
                add(&mut view, object);
            }
            other => panic!("{other:?}"),
        }
    }
    add(&mut view, gone);
    assert!(bootstrap_changes(&view).is_empty());
}

#[test]
fn what_opted_out_is_left_alone() {
    let mut all = bootstrap_roles();
    all[0]["metadata"]["annotations"]["rbac.authorization.kubernetes.io/autoupdate"] = json!("false");
    all[0]["rules"] = json!([]);
    assert!(bootstrap_changes(&view(all)).is_empty());
}
