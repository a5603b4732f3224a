//! Create, update and patch: names, metadata, versions, generations, dry runs.

use serde_json::{Value, json};

use crate::world::{World, pod};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const MODIFIED: &str = "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again";

fn deployment(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod("x")["spec"]},
        },
    })
}

#[tokio::test]
async fn the_server_decides_what_is_its_own() {
    let world = World::new().await;
    let sent = json!({"metadata": {
        "name": "a", "uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "selfLink": "x",
        "deletionTimestamp": "2001-01-01T00:00:00Z", "generation": 7, "managedFields": [{"manager": "x"}],
    }});
    let created = world.ok(&format!("POST {MAPS}"), sent).await;
    let meta = created["metadata"].as_object().unwrap();
    let fields: Vec<&str> = meta.keys().map(String::as_str).collect();
    assert_eq!(fields, ["creationTimestamp", "name", "namespace", "resourceVersion", "uid"]);
    assert_ne!(meta["uid"], "mine");
    assert_ne!(meta["creationTimestamp"], "2001-01-01T00:00:00Z");
}

#[tokio::test]
async fn bad_creations_are_refused() {
    let world = World::new().await;
    world.config_map("a").await;
    let long = "x".repeat(300_000);
    let cases = [
        (json!({"metadata": {"name": "a"}}), 409, "configmaps \"a\" already exists"),
        (json!({"metadata": {}}), 422, "metadata.name: Required value: name or generateName is required"),
        (json!({"metadata": {"name": "A_b"}}), 422, "lowercase RFC 1123 subdomain"),
        (json!({"metadata": {"name": "b", "namespace": "kube-system"}}), 400, "does not match the namespace sent"),
        (json!({"metadata": {"name": "b", "resourceVersion": "5"}}), 400, "resourceVersion should not be set"),
        (json!({"metadata": {"name": "b", "labels": {"x y": "z"}}}), 422, "metadata.labels: Invalid value: \"x y\""),
        (json!({"metadata": {"name": "b", "annotations": {"x": long}}}), 422, "metadata.annotations: Too long"),
        (json!({"kind": "Secret", "metadata": {"name": "b"}}), 400, "does not match the expected kind"),
        (
            json!({"apiVersion": "apps/v1", "metadata": {"name": "b"}}),
            400,
            "the API version in the data (apps/v1) does not match the expected API version (v1)",
        ),
    ];
    for (body, code, message) in cases {
        world.refused(&format!("POST {MAPS}"), body, code, message).await;
    }
    let missing = "POST /api/v1/namespaces/missing/configmaps";
    let status =
        world.refused(missing, json!({"metadata": {"name": "a"}}), 404, "namespaces \"missing\" not found").await;
    assert_eq!(status["details"]["kind"], "namespaces");
    world
        .refused("POST /api/v1/configmaps", json!({"metadata": {"name": "a"}}), 405, "does not allow this method")
        .await;
    world.refused(&format!("POST {MAPS}/a"), json!({}), 405, "does not allow this method").await;
    world.refused("POST /api/v1/namespaces/default/nodes", json!({}), 404, "could not find the requested").await;
}

#[tokio::test]
async fn names_are_generated() {
    let world = World::new().await;
    let body = json!({"metadata": {"generateName": "web-"}});
    let mut names = Vec::new();
    for _ in 0..3 {
        let created = world.ok(&format!("POST {MAPS}"), body.clone()).await;
        let name = created["metadata"]["name"].as_str().unwrap().to_owned();
        assert!(name.starts_with("web-") && name.len() == 9 && !names.contains(&name), "{name}");
        names.push(name);
    }
}

#[tokio::test]
async fn a_stale_update_conflicts() {
    let world = World::new().await;
    let first = world.config_map("a").await;
    let mut newer = first.clone();
    newer["data"] = json!({"k": "1"});
    let second = world.ok(&format!("PUT {MAPS}/a"), newer.clone()).await;
    assert_ne!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let status = world.refused(&format!("PUT {MAPS}/a"), newer.clone(), 409, MODIFIED).await;
    assert_eq!(status["reason"], "Conflict");
    newer["metadata"]["resourceVersion"] = Value::Null;
    newer["data"] = json!({"k": "2"});
    world.ok(&format!("PUT {MAPS}/a"), newer.clone()).await;
    let patch = json!({"metadata": {"resourceVersion": "1"}, "data": {"k": "3"}});
    world.refused(&format!("MERGE {MAPS}/a"), patch, 409, MODIFIED).await;
    let cases = [
        (json!({"metadata": {"uid": "other"}}), 409, "Precondition failed: UID in precondition: other"),
        (json!({"metadata": {"name": "b"}}), 400, "the name of the object (b) does not match the name on the URL (a)"),
        (json!({"metadata": {"namespace": "b"}}), 400, "does not match the namespace on the URL (default)"),
        (
            json!({"metadata": {"creationTimestamp": "2001-01-01T00:00:00Z"}}),
            422,
            "metadata.creationTimestamp: Invalid value: \"2001-01-01T00:00:00Z\": field is immutable",
        ),
    ];
    for (patch, code, message) in cases {
        world.refused(&format!("MERGE {MAPS}/a"), patch, code, message).await;
    }
    world
        .refused(&format!("PUT {MAPS}/b"), json!({"metadata": {"name": "b"}}), 404, "configmaps \"b\" not found")
        .await;
}

#[tokio::test]
async fn what_changes_nothing_is_not_written() {
    let world = World::new().await;
    let first = world.config_map("a").await;
    assert_eq!(world.ok(&format!("PUT {MAPS}/a"), first.clone()).await, first);
    assert_eq!(world.ok(&format!("MERGE {MAPS}/a"), json!({"metadata": {"labels": null}})).await, first);
    let created = world.ok(&format!("POST {DEPLOYMENTS}"), deployment("d")).await;
    assert_eq!(world.ok(&format!("PUT {DEPLOYMENTS}/d"), deployment("d")).await, created);
}

#[tokio::test]
async fn generations_count_what_is_wanted() {
    let world = World::new().await;
    let created = world.ok(&format!("POST {DEPLOYMENTS}"), deployment("d")).await;
    assert_eq!(created["metadata"]["generation"], 1);
    let cases = [
        ("", json!({"metadata": {"labels": {"x": "y"}}}), 1),
        ("", json!({"spec": {"replicas": 3}}), 2),
        ("", json!({"spec": {"replicas": 3}}), 2),
        ("/status", json!({"status": {"replicas": 3}}), 2),
        ("", json!({"metadata": {"generation": 9}, "spec": {"paused": true}}), 3),
    ];
    for (part, patch, generation) in cases {
        let patched = world.ok(&format!("MERGE {DEPLOYMENTS}/d{part}"), patch.clone()).await;
        assert_eq!(patched["metadata"]["generation"], generation, "{patch}");
    }
}

#[tokio::test]
async fn status_and_the_rest_are_written_apart() {
    let world = World::new().await;
    let mut sent = deployment("d");
    sent["status"] = json!({"replicas": 9});
    let created = world.ok(&format!("POST {DEPLOYMENTS}"), sent).await;
    assert_ne!(created["status"]["replicas"], 9);
    let both = json!({"metadata": {"annotations": {"x": "y"}}, "spec": {"replicas": 5}, "status": {"replicas": 4}});
    let patched = world.ok(&format!("MERGE {DEPLOYMENTS}/d/status"), both.clone()).await;
    let seen = |value: &Value| {
        (
            value["spec"]["replicas"].clone(),
            value["status"]["replicas"].clone(),
            value["metadata"]["annotations"].clone(),
        )
    };
    assert_eq!(seen(&patched), (json!(1), json!(4), json!({"x": "y"})));
    let patched =
        world.ok(&format!("MERGE {DEPLOYMENTS}/d"), json!({"spec": {"replicas": 2}, "status": {"replicas": 8}})).await;
    assert_eq!(seen(&patched), (json!(2), json!(4), json!({"x": "y"})));
    let read = world.ok(&format!("GET {DEPLOYMENTS}/d/status"), Value::Null).await;
    assert_eq!(read, patched);
    world.refused(&format!("GET {MAPS}/a/status"), Value::Null, 404, "could not find the requested resource").await;
}

#[tokio::test]
async fn patches_of_three_kinds() {
    let world = World::new().await;
    world.ok(&format!("POST {DEPLOYMENTS}"), deployment("d")).await;
    let json_patch = json!([{"op": "replace", "path": "/spec/replicas", "value": 7}]);
    let patched = world.ok(&format!("JSON {DEPLOYMENTS}/d"), json_patch).await;
    assert_eq!(patched["spec"]["replicas"], 7);
    let merge = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "other"}]}}}});
    let patched = world.ok(&format!("MERGE {DEPLOYMENTS}/d"), merge).await;
    assert_eq!(patched["spec"]["template"]["spec"]["containers"][0]["image"], "other");
    let strategic =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": "b"}]}]}}}});
    let patched = world.ok(&format!("STRATEGIC {DEPLOYMENTS}/d"), strategic).await;
    let container = &patched["spec"]["template"]["spec"]["containers"][0];
    assert_eq!((&container["image"], &container["env"][0]["value"]), (&json!("other"), &json!("b")));
    let cases = [
        ("JSON", json!([{"op": "replace", "path": "/spec/nothing/x", "value": 7}]), 422, ""),
        ("JSON", json!([{"op": "test", "path": "/spec/replicas", "value": 1}]), 422, ""),
        ("JSON", json!({"op": "x"}), 400, ""),
        ("MERGE", json!([1]), 400, ""),
        ("MERGE", json!({"kind": "Pod"}), 400, "does not match the expected kind"),
        ("MERGE", json!({"spec": {"replicas": "many"}}), 400, "cannot be handled as a Deployment"),
        ("MERGE", json!({"spec": {"replicas": -1}}), 422, "spec.replicas: Invalid value: -1"),
    ];
    for (method, patch, code, message) in cases {
        world.refused(&format!("{method} {DEPLOYMENTS}/d"), patch, code, message).await;
    }
    let answer = world.send(&format!("PATCH {DEPLOYMENTS}/d"), &[("content-type", "text/plain")], "{}").await;
    assert_eq!(answer.code, 415);
    assert!(answer.text().contains("accepted media types include: application/json-patch+json"), "{}", answer.text());
}

#[tokio::test]
async fn patches_of_one_object_all_count() {
    let world = World::new().await;
    world.config_map("a").await;
    let patches = (0..40).map(|at| {
        let world = &world;
        async move { world.ok(&format!("MERGE {MAPS}/a"), json!({"data": {format!("k{at}"): "v"}})).await }
    });
    futures::future::join_all(patches).await;
    let map = world.ok(&format!("GET {MAPS}/a"), Value::Null).await;
    assert_eq!(map["data"].as_object().unwrap().len(), 40);
}

#[tokio::test]
async fn dry_runs_write_nothing() {
    let world = World::new().await;
    let map = world.config_map("a").await;
    let created = world.ok(&format!("POST {MAPS}?dryRun=All"), json!({"metadata": {"name": "b"}})).await;
    assert_eq!(created["metadata"]["name"], "b");
    let patched = world.ok(&format!("MERGE {MAPS}/a?dryRun=All"), json!({"data": {"k": "v"}})).await;
    assert_eq!(patched["data"], json!({"k": "v"}));
    assert_eq!(patched["metadata"]["resourceVersion"], map["metadata"]["resourceVersion"]);
    world.ok(&format!("DELETE {MAPS}/a?dryRun=All"), Value::Null).await;
    world.ok(&format!("DELETE {MAPS}/a"), json!({"dryRun": ["All"]})).await;
    assert_eq!(world.ok(&format!("GET {MAPS}/a"), Value::Null).await, map);
    world.refused(&format!("GET {MAPS}/b"), Value::Null, 404, "not found").await;
    let message =
        "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: supported values: \"All\"";
    world.refused(&format!("POST {MAPS}?dryRun=Some"), json!({"metadata": {"name": "b"}}), 422, message).await;
}

#[tokio::test]
async fn every_served_version_reads_and_writes() {
    let world = World::new().await;
    let events = "/apis/events.k8s.io/v1/namespaces/default/events";
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event",
        "metadata": {"name": "e"},
        "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
        "reason": "R", "note": "n", "type": "Normal", "action": "A",
        "eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "x.io/c", "reportingInstance": "i",
    });
    let created = world.ok(&format!("POST {events}"), event).await;
    assert_eq!((&created["apiVersion"], &created["note"]), (&json!("events.k8s.io/v1"), &json!("n")));
    let core = world.ok("GET /api/v1/namespaces/default/events/e", Value::Null).await;
    assert_eq!(
        (&core["apiVersion"], &core["message"], &core["involvedObject"]["name"]),
        (&json!("v1"), &json!("n"), &json!("p"))
    );
    let list = world.ok(&format!("GET {events}"), Value::Null).await;
    assert_eq!((&list["apiVersion"], &list["items"][0]), (&json!("events.k8s.io/v1"), &created));
}
