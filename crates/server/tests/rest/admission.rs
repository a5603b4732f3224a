//! What Kubernetes' built-in admission does: service accounts, priorities, limits, quotas, addresses, nodes.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use server::User;

use crate::world::{World, pod};

const PODS: &str = "/api/v1/namespaces/default/pods";
const SERVICES: &str = "/api/v1/namespaces/default/services";

#[tokio::test]
async fn a_pod_gets_an_identity() {
    let world = World::new().await;
    let created = world.pod("p").await;
    let spec = &created["spec"];
    assert_eq!((&spec["serviceAccountName"], &spec["serviceAccount"]), (&json!("default"), &json!("default")));
    let volume = &spec["volumes"][0];
    let name = volume["name"].as_str().unwrap();
    assert!(name.starts_with("kube-api-access-") && name.len() == 21, "{name}");
    let expected = json!({"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]});
    assert_eq!(volume["projected"], expected);
    let mount = json!([{"name": name, "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]);
    assert_eq!(spec["containers"][0]["volumeMounts"], mount);
    assert_eq!(spec.get("initContainers"), None);

    let mut without = pod("q");
    without["spec"]["automountServiceAccountToken"] = json!(false);
    let created = world.ok(&format!("POST {PODS}"), without).await;
    assert_eq!(created["spec"]["volumes"], Value::Null);

    let mut stranger = pod("r");
    stranger["spec"]["serviceAccountName"] = json!("nobody");
    let message =
        "pods \"r\" is forbidden: error looking up service account default/nobody: serviceaccount \"nobody\" not found";
    world.refused(&format!("POST {PODS}"), stranger, 403, message).await;
}

#[tokio::test]
async fn a_pod_gets_pull_secrets_tolerations_and_a_priority() {
    let world = World::new().await;
    let account = json!({"metadata": {"name": "puller"}, "imagePullSecrets": [{"name": "s"}]});
    world.ok("POST /api/v1/namespaces/default/serviceaccounts", account).await;
    let class = json!({"metadata": {"name": "high"}, "value": 1000, "preemptionPolicy": "Never"});
    world.ok("POST /apis/scheduling.k8s.io/v1/priorityclasses", class).await;
    let mut sent = pod("p");
    sent["spec"]["serviceAccountName"] = json!("puller");
    sent["spec"]["priorityClassName"] = json!("high");
    let spec = world.ok(&format!("POST {PODS}"), sent).await["spec"].take();
    assert_eq!(spec["imagePullSecrets"], json!([{"name": "s"}]));
    assert_eq!((&spec["priority"], &spec["preemptionPolicy"]), (&json!(1000), &json!("Never")));
    let tolerated: Vec<&Value> = spec["tolerations"].as_array().unwrap().iter().map(|one| &one["key"]).collect();
    assert_eq!(tolerated, ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]);
    assert_eq!(world.pod("plain").await["spec"]["priority"], 0);
    let refusals = [
        ("priorityClassName", json!("none"), "no PriorityClass with name none was found"),
        ("priority", json!(7), "the integer value of priority (7) must not be provided in pod spec"),
    ];
    for (field, value, message) in refusals {
        let mut sent = pod("q");
        sent["spec"][field] = value;
        world.refused(&format!("POST {PODS}"), sent, 403, message).await;
    }
}

#[tokio::test]
async fn limit_ranges_fill_in_and_bound() {
    let world = World::new().await;
    let range = json!({"metadata": {"name": "r"}, "spec": {"limits": [{
        "type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"},
    }]}});
    world.ok("POST /api/v1/namespaces/default/limitranges", range).await;
    let created = world.pod("p").await;
    let resources = &created["spec"]["containers"][0]["resources"];
    assert_eq!(resources, &json!({"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}}));
    let mut greedy = pod("q");
    greedy["spec"]["containers"][0]["resources"] = json!({"limits": {"cpu": "2"}});
    let message = "pods \"q\" is forbidden: maximum cpu usage per Container is 1, but limit is 2";
    world.refused(&format!("POST {PODS}"), greedy, 403, message).await;
}

#[tokio::test]
async fn quotas_bound_what_a_namespace_holds() {
    let world = World::new().await;
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": {"pods": "2", "requests.cpu": "1", "count/configmaps": "1"}}});
    world.ok("POST /api/v1/namespaces/default/resourcequotas", quota).await;
    let asking = |name: &str, cpu: &str| {
        let mut pod = pod(name);
        pod["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": cpu}});
        pod
    };
    let cases = [
        (pod("a"), 403, "failed quota: q: must specify requests.cpu for: c"),
        (asking("a", "600m"), 201, ""),
        (
            asking("b", "600m"),
            403,
            "exceeded quota: q, requested: requests.cpu=600m, used: requests.cpu=600m, limited: requests.cpu=1",
        ),
        (asking("b", "400m"), 201, ""),
        (asking("c", "0"), 403, "exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"),
    ];
    for (pod, code, message) in cases {
        let answer = world.call(&format!("POST {PODS}"), pod).await;
        assert_eq!(answer.code, code, "{}", answer.text());
        assert!(answer.text().contains(message), "{} lacks {message}", answer.text());
    }
    // However many try at once, only as many succeed as there is room for.
    let tries = (0..10).map(|at| {
        let map = json!({"metadata": {"name": format!("m{at}")}});
        world.call("POST /api/v1/namespaces/default/configmaps", map)
    });
    let created = futures::future::join_all(tries).await.iter().filter(|answer| answer.code == 201).count();
    assert_eq!(created, 1);
}

#[tokio::test]
async fn services_get_addresses_and_ports_of_their_own() {
    let world = World::new().await;
    let service = |name: String, kind: &str| {
        json!({
            "metadata": {"name": name},
            "spec": {"type": kind, "selector": {"a": "b"}, "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]},
        })
    };
    let creations =
        (0..50).map(|at| world.ok("POST /api/v1/namespaces/default/services", service(format!("s{at}"), "NodePort")));
    let created = futures::future::join_all(creations).await;
    let addresses: BTreeSet<&str> = created.iter().map(|one| one["spec"]["clusterIP"].as_str().unwrap()).collect();
    let ports: BTreeSet<i64> = created
        .iter()
        .flat_map(|one| one["spec"]["ports"].as_array().unwrap())
        .map(|port| port["nodePort"].as_i64().unwrap())
        .collect();
    assert_eq!((addresses.len(), ports.len()), (50, 100));
    assert!(addresses.iter().all(|address| address.starts_with("10.96.")));
    assert!(ports.iter().all(|port| (30000..=32767).contains(port)));
    let first = &created[0];
    assert_eq!(first["spec"]["clusterIPs"], json!([first["spec"]["clusterIP"]]));
    assert_eq!(
        (&first["spec"]["ipFamilies"], &first["spec"]["ipFamilyPolicy"]),
        (&json!(["IPv4"]), &json!("SingleStack"))
    );
}

#[tokio::test]
async fn services_ask_for_addresses_and_ports() {
    let world = World::new().await;
    let sent = |name: &str, spec: Value| json!({"metadata": {"name": name}, "spec": spec});
    let ports = json!([{"port": 80, "nodePort": 30080}]);
    let first = sent("a", json!({"type": "NodePort", "clusterIP": "10.96.7.7", "ports": ports}));
    let created = world.ok(&format!("POST {SERVICES}"), first).await;
    assert_eq!(
        (&created["spec"]["clusterIP"], &created["spec"]["ports"][0]["nodePort"]),
        (&json!("10.96.7.7"), &json!(30080))
    );
    let plain = json!([{"port": 80}]);
    let cases = [
        (
            json!({"clusterIP": "10.96.7.7", "ports": plain}),
            "failed to allocate IP 10.96.7.7: provided IP is already allocated",
        ),
        (
            json!({"clusterIP": "10.97.0.1", "ports": plain}),
            "the provided IP is not in the valid range. The range of valid IPs is 10.96.0.0/16",
        ),
        (
            json!({"type": "NodePort", "ports": ports}),
            "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated",
        ),
        (
            json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}),
            "The range of valid ports is 30000-32767",
        ),
    ];
    for (spec, message) in cases {
        world.refused(&format!("POST {SERVICES}"), sent("b", spec), 422, message).await;
    }
    let headless = world.ok(&format!("POST {SERVICES}"), sent("h", json!({"clusterIP": "None", "ports": plain}))).await;
    assert_eq!(headless["spec"]["clusterIP"], "None");
    let external = sent("e", json!({"type": "ExternalName", "externalName": "example.com"}));
    assert_eq!(world.ok(&format!("POST {SERVICES}"), external).await["spec"]["clusterIP"], Value::Null);

    let mut replaced = created.clone();
    replaced["spec"]["clusterIP"] = Value::Null;
    replaced["spec"]["clusterIPs"] = Value::Null;
    replaced["spec"]["ports"] = plain.clone();
    let replaced = world.ok(&format!("PUT {SERVICES}/a"), replaced).await;
    assert_eq!(replaced["spec"]["clusterIP"], "10.96.7.7", "kept");
    assert_eq!(replaced["spec"]["ports"][0]["nodePort"], 30080, "kept");
    let inward = world.ok(&format!("MERGE {SERVICES}/a"), json!({"spec": {"type": "ClusterIP"}})).await;
    assert_eq!(inward["spec"]["ports"][0]["nodePort"], Value::Null, "given back");
    let other = json!({"spec": {"clusterIP": "10.96.8.8", "clusterIPs": ["10.96.8.8"]}});
    world.refused(&format!("MERGE {SERVICES}/a"), other, 422, "may not change once set").await;
    world.ok(&format!("DELETE {SERVICES}/a"), Value::Null).await;
    let again = sent("b", json!({"clusterIP": "10.96.7.7", "ports": plain}));
    world.ok(&format!("POST {SERVICES}"), again).await;
}

#[tokio::test]
async fn kubelets_write_what_is_theirs() {
    let world = World::new().await;
    let node = |name: &str| json!({"metadata": {"name": name}, "status": {"capacity": {"pods": "9"}}});
    world.ok("POST /api/v1/nodes", node("n2")).await;
    world.pod("p").await;
    let kubelet = world.as_user(User::new("system:node:n1", ["system:nodes", "system:authenticated"]));
    let registered = kubelet.ok("POST /api/v1/nodes", node("n1")).await;
    assert_eq!(registered["status"]["capacity"]["pods"], "9", "nodes register with their status");
    let forbidden = [
        ("POST /api/v1/nodes", node("n3"), "node \"n1\" is not allowed to modify node \"n3\""),
        ("MERGE /api/v1/nodes/n2/status", json!({"status": {"phase": "x"}}), "node"),
        (
            "MERGE /api/v1/nodes/n1",
            json!({"metadata": {"labels": {"node-restriction.kubernetes.io/x": "y"}}}),
            "node-restriction",
        ),
        ("POST /api/v1/namespaces/default/pods", pod("x"), "node"),
    ];
    for (line, body, message) in forbidden {
        kubelet.refused(line, body, 403, message).await;
    }
}

#[tokio::test]
async fn nobody_grants_what_they_do_not_have() {
    let world = World::new().await;
    let role = |verbs: Value| {
        json!({
            "metadata": {"name": "r"},
            "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": verbs}],
        })
    };
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
    let maker = json!({
        "metadata": {"name": "maker"},
        "rules": [
            {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create"]},
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        ],
    });
    world.ok(&format!("POST {roles}"), maker).await;
    let binding = json!({
        "metadata": {"name": "b"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "maker"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jo"}],
    });
    world.ok("POST /apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings", binding).await;
    let jo = world.as_user(User::new("jo", ["system:authenticated"]));
    jo.refused(
        &format!("POST {roles}"),
        role(json!(["delete"])),
        403,
        "attempting to grant RBAC permissions not currently held",
    )
    .await;
    jo.ok(&format!("POST {roles}"), role(json!(["get"]))).await;
    jo.refused(
        "GET /api/v1/secrets",
        Value::Null,
        403,
        "secrets is forbidden: User \"jo\" cannot list resource \"secrets\"",
    )
    .await;
}

#[tokio::test]
async fn what_every_cluster_starts_with_is_there() {
    let world = World::new().await;
    for path in [
        "/api/v1/namespaces/kube-node-lease",
        "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin",
        "/api/v1/namespaces/default/endpoints/kubernetes",
    ] {
        world.ok(&format!("GET {path}"), Value::Null).await;
    }
    let service = world.ok(&format!("GET {SERVICES}/kubernetes"), Value::Null).await;
    assert_eq!(service["spec"]["clusterIP"], "10.96.0.1");
    let revision = |list: Value| list["metadata"]["resourceVersion"].clone();
    let before = revision(world.ok("GET /api/v1/namespaces", Value::Null).await);
    world.server.bootstrap().await.unwrap();
    let after = revision(world.ok("GET /api/v1/namespaces", Value::Null).await);
    assert_eq!(before, after, "a second start writes nothing");
}
