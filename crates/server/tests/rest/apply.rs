//! Server-side apply: who manages which field, what conflicts, and what goes when it is no longer applied.

use serde_json::{Value, json};

use crate::world::{World, pod};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

impl World {
    /// Applies a configuration: code and answer.
    async fn apply(&self, path: &str, query: &str, config: Value) -> (u16, Value) {
        let headers = [("content-type", "application/apply-patch+yaml")];
        let answer = self.send(&format!("PATCH {path}?{query}"), &headers, config.to_string()).await;
        (answer.code, answer.json())
    }

    async fn applied(&self, path: &str, query: &str, config: Value) -> Value {
        let (code, answer) = self.apply(path, query, config).await;
        assert!(matches!(code, 200 | 201), "{code} {answer:#}");
        answer
    }
}

fn map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
}

fn deployment(containers: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": containers}}}})
}

/// Managers and the fields of each.
fn managers(object: &Value) -> Vec<(String, String, Value)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let entries = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    entries.map(|entry| (text(&entry["manager"]), text(&entry["operation"]), entry["fieldsV1"].clone())).collect()
}

#[tokio::test]
async fn what_is_applied_is_managed_and_goes_with_it() {
    let world = World::new().await;
    let path = format!("{MAPS}/a");
    let (code, made) = world.apply(&path, "fieldManager=one", map(json!({"a": "1", "b": "1"}))).await;
    assert_eq!(code, 201);
    assert_eq!(managers(&made), [("one".into(), "Apply".into(), json!({"f:data": {"f:a": {}, "f:b": {}}}))]);
    let again = world.applied(&path, "fieldManager=one", map(json!({"a": "1", "b": "1"}))).await;
    assert_eq!(again["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"], "nothing is written");
    let both = world.applied(&path, "fieldManager=two", map(json!({"a": "1", "c": "1"}))).await;
    assert_eq!(both["data"], json!({"a": "1", "b": "1", "c": "1"}));
    let less = world.applied(&path, "fieldManager=one", map(json!({}))).await;
    assert_eq!(less["data"], json!({"a": "1", "c": "1"}), "what the other manages stays");
    let nothing = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    world.applied(&path, "fieldManager=one", nothing.clone()).await;
    let tried = world.applied(&path, "fieldManager=two&dryRun=All", nothing).await;
    assert!(tried.get("data").is_none(), "{tried}");
    assert_eq!(world.ok(&format!("GET {path}"), Value::Null).await["data"], json!({"a": "1", "c": "1"}));
}

#[tokio::test]
async fn what_others_manage_is_a_conflict_unless_forced() {
    let world = World::new().await;
    let path = format!("{MAPS}/a");
    world.applied(&path, "fieldManager=one", map(json!({"a": "1", "b": "1"}))).await;
    let (code, refused) = world.apply(&path, "fieldManager=two", map(json!({"a": "2", "b": "1"}))).await;
    assert_eq!(code, 409, "{refused}");
    assert_eq!(refused["message"], "Apply failed with 1 conflict: conflict with \"one\" using v1: .data.a");
    assert_eq!(
        refused["details"]["causes"],
        json!([{"reason": "FieldManagerConflict", "message": "conflict with \"one\" using v1", "field": ".data.a"}])
    );
    let forced = world.applied(&path, "fieldManager=two&force=true", map(json!({"a": "2", "b": "1"}))).await;
    assert_eq!(forced["data"], json!({"a": "2", "b": "1"}));
    let expected = [
        ("one".into(), "Apply".into(), json!({"f:data": {"f:b": {}}})),
        ("two".into(), "Apply".into(), json!({"f:data": {"f:a": {}, "f:b": {}}})),
    ];
    assert_eq!(managers(&forced), expected);
    // Whoever writes without applying takes over without being asked.
    let patched = world.ok(&format!("MERGE {path}?fieldManager=three"), json!({"data": {"a": "3"}})).await;
    assert!(
        managers(&patched).contains(&("three".into(), "Update".into(), json!({"f:data": {"f:a": {}}}))),
        "{patched}"
    );
    let (code, _) = world.apply(&path, "fieldManager=two", map(json!({"a": "2"}))).await;
    assert_eq!(code, 409);
}

#[tokio::test]
async fn lists_merge_by_their_keys() {
    let world = World::new().await;
    let path = format!("{DEPLOYMENTS}/web");
    let web = json!({"name": "web", "image": "a:1", "ports": [{"containerPort": 80}]});
    let made = world.applied(&path, "fieldManager=one", deployment(json!([web]))).await;
    assert_eq!(made["spec"]["template"]["spec"]["containers"][0]["ports"][0]["protocol"], "TCP");
    let side = json!([{"name": "web", "env": [{"name": "A", "value": "1"}]}, {"name": "side", "image": "b:1"}]);
    let both = world.applied(&path, "fieldManager=two", deployment(side)).await;
    let containers = both["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    assert_eq!((containers.len(), &containers[0]["image"], &containers[1]["name"]), (2, &json!("a:1"), &json!("side")));
    let config = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}});
    let alone = world.applied(&path, "fieldManager=two", config).await;
    let containers = alone["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    assert_eq!((containers.len(), containers[0].get("env")), (1, None), "{alone:#}");
    assert_eq!(managers(&alone).len(), 1, "who manages nothing is not listed");
    let twice = deployment(json!([web, {"name": "web", "image": "b"}]));
    let (code, _) = world.apply(&path, "fieldManager=one&force=true", twice).await;
    assert_ne!(code, 200, "one key, two items");
}

#[tokio::test]
async fn objects_that_were_never_applied_are_taken_over() {
    let world = World::new().await;
    let path = format!("{MAPS}/a");
    world.ok(&format!("POST {MAPS}"), map(json!({"a": "1"}))).await;
    let (_, refused) = world.apply(&path, "fieldManager=one", map(json!({"a": "2"}))).await;
    assert!(
        refused["message"].as_str().unwrap().contains("conflict with \"before-first-apply\" using v1"),
        "{refused}"
    );
    world.applied(&path, "fieldManager=one", map(json!({"a": "1", "b": "1"}))).await;
    // kubectl's own configurations of before are its own.
    let last = map(json!({"c": "1"})).to_string();
    let mut old = map(json!({"c": "1"}));
    old["metadata"] = json!({"name": "c", "annotations": {"kubectl.kubernetes.io/last-applied-configuration": last}});
    world.ok(&format!("POST {MAPS}?fieldManager=kubectl-client-side-apply"), old).await;
    let mut new = map(json!({"c": "2"}));
    new["metadata"]["name"] = json!("c");
    let (code, _) = world.apply(&format!("{MAPS}/c"), "fieldManager=other", new.clone()).await;
    assert_eq!(code, 409);
    let applied = world.applied(&format!("{MAPS}/c"), "fieldManager=kubectl", new).await;
    assert_eq!(applied["data"]["c"], "2");
}

#[tokio::test]
async fn the_status_is_applied_apart() {
    let world = World::new().await;
    world
        .applied(&format!("{DEPLOYMENTS}/web"), "fieldManager=one", deployment(pod("x")["spec"]["containers"].clone()))
        .await;
    let status = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 9}, "status": {"replicas": 3}});
    let applied = world.applied(&format!("{DEPLOYMENTS}/web/status"), "fieldManager=one", status).await;
    assert_eq!((&applied["status"]["replicas"], &applied["spec"]["replicas"]), (&json!(3), &json!(1)));
    let entries = applied["metadata"]["managedFields"].as_array().unwrap();
    assert!(entries.iter().any(|entry| entry["subresource"] == "status" && entry["fieldsV1"]["f:status"].is_object()));
}

#[tokio::test]
async fn bad_applies_are_refused() {
    let world = World::new().await;
    let path = format!("{MAPS}/a");
    let cases = [
        ("", map(json!({})), 422, "fieldManager: Required value: is required for apply patch"),
        (
            "fieldManager=a",
            json!({"kind": "Secret", "metadata": {"name": "a"}}),
            400,
            "does not match the expected kind",
        ),
        (
            "fieldManager=a",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}),
            400,
            "does not match the name on the URL",
        ),
        (
            "fieldManager=a&fieldValidation=Strict",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "dta": {}}),
            400,
            "unknown field \"dta\"",
        ),
        (
            "fieldManager=a",
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "managedFields": [{}]}}),
            400,
            "metadata.managedFields must be nil",
        ),
    ];
    for (query, config, code, message) in cases {
        let (found, answer) = world.apply(&path, query, config.clone()).await;
        let told = answer["message"].as_str().unwrap_or_default();
        assert!(found == code && told.contains(message), "{query} {config}: {found} {told}");
    }
    let answer = world
        .send(&format!("PATCH {path}?fieldManager=a"), &[("content-type", "application/apply-patch+yaml")], "a: [")
        .await;
    assert_eq!(answer.code, 400, "{}", answer.text());
    let forced = world.call(&format!("MERGE {path}?force=true"), json!({})).await;
    assert_eq!(forced.code, 422, "{}", forced.text());
}
