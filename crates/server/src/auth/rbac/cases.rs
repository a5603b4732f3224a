//! Who may do what, as a table.

use serde_json::{Value, json};

use crate::auth::world::{add, asked, state, user, view};
use crate::auth::{authorize, check_escalation, decide};

fn role(kind: &str, namespace: &str, name: &str, rules: Value) -> Value {
    json!({"kind": kind, "metadata": {"namespace": namespace, "name": name}, "rules": rules})
}

fn binding(kind: &str, namespace: &str, name: &str, role: &str, subject: Value) -> Value {
    let (role_kind, role) = role.split_once('/').unwrap();
    json!({
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role},
        "subjects": [subject],
    })
}

fn world() -> api::View {
    let named = |kind: &str, name: &str| json!({"kind": kind, "name": name});
    view([
        role(
            "ClusterRole",
            "",
            "reader",
            json!([{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]}]),
        ),
        role("ClusterRole", "", "scaler", json!([{"apiGroups": ["*"], "resources": ["*/scale"], "verbs": ["*"]}])),
        role("ClusterRole", "", "urls", json!([{"nonResourceURLs": ["/logs/*", "/metrics"], "verbs": ["get"]}])),
        role("ClusterRole", "", "everything", json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}])),
        role(
            "Role",
            "shop",
            "one-secret",
            json!([{"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["till"], "verbs": ["get", "list"]}]),
        ),
        json!({
            "kind": "ClusterRole",
            "metadata": {"name": "sum"},
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"part": "sum"}}]},
        }),
        json!({
            "kind": "ClusterRole",
            "metadata": {"name": "part", "labels": {"part": "sum"}},
            "rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["watch"]}],
        }),
        binding("ClusterRoleBinding", "", "readers", "ClusterRole/reader", named("Group", "dev")),
        binding("ClusterRoleBinding", "", "scalers", "ClusterRole/scaler", named("User", "otto")),
        binding("ClusterRoleBinding", "", "urls", "ClusterRole/urls", named("User", "otto")),
        binding("ClusterRoleBinding", "", "sum", "ClusterRole/sum", named("User", "sam")),
        binding("ClusterRoleBinding", "", "lost", "ClusterRole/gone", named("User", "lost")),
        binding("RoleBinding", "shop", "all", "ClusterRole/everything", named("User", "boss")),
        binding("RoleBinding", "shop", "till", "Role/one-secret", json!({"kind": "ServiceAccount", "name": "till"})),
        binding(
            "RoleBinding",
            "shop",
            "elsewhere",
            "ClusterRole/reader",
            json!({"kind": "ServiceAccount", "name": "spy", "namespace": "dark"}),
        ),
    ])
}

/// User and groups, request, whether it is allowed.
const CASES: &[(&str, &str, bool)] = &[
    ("root system:masters", "delete -/nodes/one", true),
    ("root system:masters", "get /anything", true),
    ("jane dev", "get shop/pods/web", true),
    ("jane dev", "list -/pods", true),
    ("jane dev", "get shop/pods:log/web", true),
    ("jane dev", "get shop/pods:exec/web", false),
    ("jane dev", "delete shop/pods/web", false),
    ("jane dev", "get shop/pods.metrics.k8s.io/web", false),
    ("jane", "get shop/pods/web", false),
    ("otto", "update shop/deployments:scale.apps/web", true),
    ("otto", "get -/anything:scale.acme.com/x", true),
    ("otto", "update shop/deployments.apps/web", false),
    ("otto", "get /metrics", true),
    ("otto", "get /metrics/more", false),
    ("otto", "get /logs/kubelet", true),
    ("otto", "post /logs/kubelet", false),
    ("otto", "get /log", false),
    ("sam", "watch -/deployments.apps", true),
    ("sam", "list -/deployments.apps", false),
    ("boss", "delete shop/secrets/till", true),
    ("boss", "create shop/pods:exec/web", true),
    ("boss", "get other/secrets/till", false),
    ("boss", "get -/nodes/one", false),
    ("boss", "get /metrics", false),
    ("system:serviceaccount:shop:till", "get shop/secrets/till", true),
    ("system:serviceaccount:shop:till", "list shop/secrets/till", true),
    ("system:serviceaccount:shop:till", "list shop/secrets", false),
    ("system:serviceaccount:shop:till", "get shop/secrets/other", false),
    ("system:serviceaccount:other:till", "get shop/secrets/till", false),
    ("system:serviceaccount:dark:spy", "get shop/pods/web", true),
    ("system:anonymous system:unauthenticated", "get shop/pods/web", false),
];

#[test]
fn rules_allow_what_they_say() {
    let (state, view) = (state(), world());
    for (who, what, allowed) in CASES {
        assert_eq!(decide(&state, &view, &user(who), &asked(what)).allowed, *allowed, "{who}: {what}");
    }
}

#[test]
fn refusals_read_as_in_kubernetes() {
    let (state, view) = (state(), world());
    let cases = [
        (
            "x",
            "list default/pods",
            r#"pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "default""#,
        ),
        (
            "x",
            "get a/pods:log/b",
            r#"pods "b" is forbidden: User "x" cannot get resource "pods/log" in API group "" in the namespace "a""#,
        ),
        (
            "x",
            "list -/deployments.apps",
            r#"deployments.apps is forbidden: User "x" cannot list resource "deployments" in API group "apps" at the cluster scope"#,
        ),
        ("x", "get /metrics", r#"forbidden: User "x" cannot get path "/metrics""#),
        (
            "lost",
            "list -/nodes",
            r#"nodes is forbidden: User "lost" cannot list resource "nodes" in API group "" at the cluster scope: RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found"#,
        ),
    ];
    for (who, what, text) in cases {
        assert_eq!(authorize(&state, &view, &user(who), &asked(what)).unwrap_err().message, text);
    }
}

#[test]
fn a_yes_says_why() {
    let decision =
        decide(&state(), &world(), &user("system:serviceaccount:shop:till"), &asked("get shop/secrets/till"));
    assert_eq!(
        decision.reason,
        r#"RBAC: allowed by RoleBinding "till/shop" of Role "one-secret" to ServiceAccount "till/shop""#
    );
}

#[test]
fn a_new_binding_counts_at_once() {
    let (state, mut view) = (state(), world());
    let (who, what) = (user("new"), asked("list -/pods"));
    assert!(!decide(&state, &view, &who, &what).allowed);
    add(
        &mut view,
        binding("ClusterRoleBinding", "", "new", "ClusterRole/reader", json!({"kind": "User", "name": "new"})),
    );
    assert!(decide(&state, &view, &who, &what).allowed);
}

#[test]
fn nobody_grants_what_they_do_not_have() {
    let (state, mut view) = (state(), world());
    let writer = role(
        "ClusterRole",
        "",
        "writer",
        json!([{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["create", "bind"], "resourceNames": ["one-secret"]}]),
    );
    add(&mut view, writer);
    add(
        &mut view,
        binding("ClusterRoleBinding", "", "writers", "ClusterRole/writer", json!({"kind": "Group", "name": "dev"})),
    );
    let who = user("jane dev");
    let check =
        |what: &str, new: &Value, old: Option<&Value>| check_escalation(&state, &view, &who, &asked(what), new, old);

    let held = role("Role", "shop", "r", json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]));
    check("create shop/roles.rbac.authorization.k8s.io/r", &held, None).unwrap();
    let more = role(
        "Role",
        "shop",
        "r",
        json!([{"apiGroups": [""], "resources": ["pods", "secrets"], "verbs": ["get", "delete"]}]),
    );
    let refused = check("create shop/roles.rbac.authorization.k8s.io/r", &more, None).unwrap_err();
    assert_eq!(
        refused.message,
        "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"jane\" (groups=[\"dev\"]) is attempting to grant \
         RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}\n\
         {APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\" \"delete\"]}"
    );
    check("update shop/roles.rbac.authorization.k8s.io/r", &more, Some(&more)).unwrap();

    let bind = |role: &str| binding("RoleBinding", "shop", "b", role, json!({"kind": "User", "name": "jane"}));
    let what = "create shop/rolebindings.rbac.authorization.k8s.io/b";
    check(what, &bind("ClusterRole/reader"), None).unwrap();
    check(what, &bind("Role/one-secret"), None).unwrap(); // She may bind it by name.
    assert_eq!(check(what, &bind("ClusterRole/everything"), None).unwrap_err().code(), 403);
    assert_eq!(check(what, &bind("ClusterRole/gone"), None).unwrap_err().code(), 404);
    check("create shop/pods/b", &more, None).unwrap();
}
