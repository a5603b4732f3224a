//! What node `one` may, as a table.

use serde_json::json;

use crate::auth::decide;
use crate::auth::world::{asked, state, user, view};

fn world() -> api::View {
    let pod = |name: &str, node: &str, spec: serde_json::Value| {
        let mut pod = json!({"kind": "Pod", "metadata": {"namespace": "shop", "name": name}, "spec": spec});
        pod["spec"]["nodeName"] = json!(node);
        pod
    };
    view([
        pod(
            "web",
            "one",
            json!({
                "serviceAccountName": "till",
                "imagePullSecrets": [{"name": "pull"}],
                "containers": [{
                    "name": "c",
                    "env": [
                        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "env", "key": "k"}}},
                        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "env-map", "key": "k"}}},
                    ],
                    "envFrom": [{"secretRef": {"name": "whole"}}],
                }],
                "volumes": [
                    {"name": "a", "secret": {"secretName": "mounted"}},
                    {"name": "b", "projected": {"sources": [{"configMap": {"name": "kube-root-ca.crt"}}]}},
                    {"name": "d", "persistentVolumeClaim": {"claimName": "disk"}},
                ],
            }),
        ),
        pod("far", "two", json!({"containers": [], "volumes": [{"name": "a", "secret": {"secretName": "far"}}]})),
        json!({"kind": "PersistentVolumeClaim", "metadata": {"namespace": "shop", "name": "disk"}, "spec": {"volumeName": "pv-1"}}),
    ])
}

const CASES: &[(&str, bool)] = &[
    ("get shop/secrets/pull", true),
    ("get shop/secrets/env", true),
    ("get shop/secrets/whole", true),
    ("watch shop/secrets/mounted", true),
    ("get shop/configmaps/env-map", true),
    ("get shop/configmaps/kube-root-ca.crt", true),
    ("get shop/secrets/far", false),
    ("get other/secrets/pull", false),
    ("list shop/secrets", false),
    ("list -/secrets", false),
    ("update shop/secrets/pull", false),
    ("get shop/persistentvolumeclaims/disk", true),
    ("get -/persistentvolumes/pv-1", true),
    ("get -/persistentvolumes/pv-2", false),
    ("create shop/serviceaccounts:token/till", true),
    ("create shop/serviceaccounts:token/other", false),
    ("update shop/pods:status/web", true),
    ("patch shop/pods:status/web", true),
    ("update shop/pods:status/far", false),
    ("delete shop/pods/web", true),
    ("delete shop/pods/far", false),
    ("get shop/pods/far", false),
    ("list -/pods", true),
    ("update shop/pods/web", false),
    ("create -/nodes", true),
    ("update -/nodes:status/one", true),
    ("patch -/nodes/one", true),
    ("update -/nodes:status/two", false),
    ("delete -/nodes/one", false),
    ("update kube-node-lease/leases.coordination.k8s.io/one", true),
    ("create kube-node-lease/leases.coordination.k8s.io", true),
    ("update kube-node-lease/leases.coordination.k8s.io/two", false),
    ("get shop/leases.coordination.k8s.io/one", false),
    ("create shop/events", true),
    ("list -/services", true),
    ("watch -/endpointslices.discovery.k8s.io", true),
    ("create shop/pods:exec/web", false),
    ("create shop/deployments.apps", false),
    ("get /metrics", false),
];

#[test]
fn a_node_minds_its_own_business() {
    let (state, view) = (state(), world());
    for (what, allowed) in CASES {
        let decision = decide(&state, &view, &user("system:node:one system:nodes"), &asked(what));
        assert_eq!(decision.allowed, *allowed, "{what}: {}", decision.reason);
    }
}

#[test]
fn who_only_looks_like_a_node_is_none() {
    let (state, view) = (state(), world());
    for who in ["system:node:one", "one system:nodes", "system:node: system:nodes"] {
        assert!(!decide(&state, &view, &user(who), &asked("get shop/secrets/pull")).allowed, "{who}");
    }
}
