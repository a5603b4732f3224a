//! Deletion: grace, finalizers, dependents, preconditions, collections, namespaces.

use serde_json::{Value, json};

use crate::world::{World, pod};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";

#[tokio::test]
async fn what_nothing_holds_goes_at_once() {
    let world = World::new().await;
    let map = world.config_map("a").await;
    let status = world.ok(&format!("DELETE {MAPS}/a"), Value::Null).await;
    assert_eq!(status["status"], "Success");
    assert_eq!(status["details"], json!({"name": "a", "kind": "configmaps", "uid": map["metadata"]["uid"]}));
    world.refused(&format!("DELETE {MAPS}/a"), Value::Null, 404, "configmaps \"a\" not found").await;
}

#[tokio::test]
async fn finalizers_hold_an_object() {
    let world = World::new().await;
    world.ok(&format!("POST {MAPS}"), json!({"metadata": {"name": "a", "finalizers": ["x.io/f"]}})).await;
    let marked = world.ok(&format!("DELETE {MAPS}/a"), Value::Null).await;
    assert_eq!(marked["kind"], "ConfigMap");
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
    assert_eq!(world.ok(&format!("DELETE {MAPS}/a"), Value::Null).await, marked, "once is enough");
    let more = json!({"metadata": {"finalizers": ["x.io/f", "x.io/g"]}});
    let message =
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{\"x.io/g\"}";
    world.refused(&format!("MERGE {MAPS}/a"), more, 422, message).await;
    world.ok(&format!("MERGE {MAPS}/a"), json!({"metadata": {"finalizers": null}})).await;
    world.refused(&format!("GET {MAPS}/a"), Value::Null, 404, "not found").await;
}

#[tokio::test]
async fn propagation_becomes_a_finalizer() {
    let world = World::new().await;
    let cases = [
        (json!({"propagationPolicy": "Foreground"}), json!(["x.io/f", "foregroundDeletion"])),
        (json!({"propagationPolicy": "Orphan"}), json!(["x.io/f", "orphan"])),
        (json!({"orphanDependents": true}), json!(["x.io/f", "orphan"])),
        (json!({"propagationPolicy": "Background"}), json!(["x.io/f"])),
        (json!({}), json!(["x.io/f"])),
    ];
    for (at, (options, finalizers)) in cases.into_iter().enumerate() {
        let name = format!("m{at}");
        world.ok(&format!("POST {MAPS}"), json!({"metadata": {"name": name, "finalizers": ["x.io/f"]}})).await;
        let marked = world.ok(&format!("DELETE {MAPS}/{name}"), options.clone()).await;
        assert_eq!(marked["metadata"]["finalizers"], finalizers, "{options}");
    }
    world.config_map("q").await;
    let marked = world.ok(&format!("DELETE {MAPS}/q?propagationPolicy=Foreground"), Value::Null).await;
    assert_eq!(marked["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    let cases = [
        (json!({"propagationPolicy": "Sideways"}), 422, "Unsupported value: \"Sideways\""),
        (json!({"propagationPolicy": "Orphan", "orphanDependents": true}), 422, "cannot be both set"),
        (json!({"kind": "Pod"}), 400, "DeleteOptions"),
    ];
    for (options, code, message) in cases {
        world.refused(&format!("DELETE {MAPS}/q"), options, code, message).await;
    }
}

#[tokio::test]
async fn preconditions_are_kept() {
    let world = World::new().await;
    let map = world.config_map("a").await;
    let cases = [
        (json!({"uid": "other"}), "the UID in the precondition (other) does not match the UID in record"),
        (json!({"resourceVersion": "1"}), "the ResourceVersion in the precondition (1) does not match"),
    ];
    for (wanted, message) in cases {
        world.refused(&format!("DELETE {MAPS}/a"), json!({"preconditions": wanted}), 409, message).await;
    }
    let meta = &map["metadata"];
    let wanted = json!({"preconditions": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}});
    world.ok(&format!("DELETE {MAPS}/a"), wanted).await;
}

#[tokio::test]
async fn pods_on_a_node_end_gracefully() {
    let world = World::new().await;
    world.pod("pending").await;
    world.ok(&format!("DELETE {PODS}/pending"), Value::Null).await;
    world.refused(&format!("GET {PODS}/pending"), Value::Null, 404, "not found").await;

    world.pod("placed").await;
    world.ok(&format!("POST {PODS}/placed/binding"), json!({"target": {"name": "n"}})).await;
    let marked = world.ok(&format!("DELETE {PODS}/placed"), Value::Null).await;
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 30);
    let shorter = world.ok(&format!("DELETE {PODS}/placed?gracePeriodSeconds=5"), Value::Null).await;
    assert_eq!(shorter["metadata"]["deletionGracePeriodSeconds"], 5);
    let (before, after) = (&marked["metadata"]["deletionTimestamp"], &shorter["metadata"]["deletionTimestamp"]);
    let time = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(time(before).as_second() - time(after).as_second(), 25);
    let longer = world.ok(&format!("DELETE {PODS}/placed"), json!({"gracePeriodSeconds": 60})).await;
    assert_eq!(longer, shorter, "grace is never prolonged");
    let status = world.ok(&format!("DELETE {PODS}/placed"), json!({"gracePeriodSeconds": 0})).await;
    assert_eq!(status["status"], "Success");
    world.refused(&format!("GET {PODS}/placed"), Value::Null, 404, "not found").await;
}

#[tokio::test]
async fn collections_are_deleted_by_selector() {
    let world = World::new().await;
    for (name, labels) in [("a", json!({"x": "1"})), ("b", json!({"x": "1"})), ("c", json!({}))] {
        world.ok(&format!("POST {MAPS}"), json!({"metadata": {"name": name, "labels": labels}})).await;
    }
    let deleted = world.ok(&format!("DELETE {MAPS}?labelSelector=x%3D1"), Value::Null).await;
    assert_eq!(deleted["items"].as_array().map(Vec::len), Some(2));
    let left = world.ok(&format!("GET {MAPS}"), Value::Null).await;
    assert_eq!(left["items"][0]["metadata"]["name"], "c");
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_namespace_goes_when_its_content_is_gone() {
    let world = World::new().await;
    let created = world.ok("POST /api/v1/namespaces", json!({"metadata": {"name": "n"}})).await;
    assert_eq!(created["spec"]["finalizers"], json!(["kubernetes"]));
    assert_eq!(created["status"]["phase"], "Active");
    assert_eq!(created["metadata"]["labels"], json!({"kubernetes.io/metadata.name": "n"}));
    let kept = world.ok("MERGE /api/v1/namespaces/n", json!({"spec": {"finalizers": []}})).await;
    assert_eq!(kept["spec"]["finalizers"], json!(["kubernetes"]), "only finalize takes them off");
    let marked = world.ok("DELETE /api/v1/namespaces/n", Value::Null).await;
    assert_eq!(marked["status"]["phase"], "Terminating");
    let refused =
        "configmaps \"a\" is forbidden: unable to create new content in namespace n because it is being terminated";
    let map = json!({"metadata": {"name": "a"}});
    let status = world.refused("POST /api/v1/namespaces/n/configmaps", map, 403, refused).await;
    assert_eq!(status["details"]["causes"][0]["reason"], "NamespaceTerminating");
    let mut finalized = marked;
    finalized["spec"]["finalizers"] = json!([]);
    world.ok("PUT /api/v1/namespaces/n/finalize", finalized).await;
    world.refused("GET /api/v1/namespaces/n", Value::Null, 404, "namespaces \"n\" not found").await;
    for name in ["default", "kube-system", "kube-public"] {
        let message = format!("namespaces \"{name}\" is forbidden: this namespace may not be deleted");
        world.refused(&format!("DELETE /api/v1/namespaces/{name}"), Value::Null, 403, &message).await;
    }
}

#[tokio::test]
async fn eviction_is_a_deletion() {
    let world = World::new().await;
    world.ok(&format!("POST {PODS}"), pod("p")).await;
    let eviction = |name: &str| json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
    world.refused(&format!("POST {PODS}/p/eviction"), eviction("q"), 400, "does not match name in Eviction").await;
    let status = world.ok(&format!("POST {PODS}/p/eviction"), eviction("p")).await;
    assert_eq!(status["status"], "Success");
    world.refused(&format!("POST {PODS}/p/eviction"), eviction("p"), 404, "pods \"p\" not found").await;
}
