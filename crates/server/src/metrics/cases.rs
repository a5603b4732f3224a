//! Metrics against a kubelet that is a page of code.

use serde_json::{Value, json};

use crate::proxy::tests::{World, world};

const BASE: &str = "/apis/metrics.k8s.io/v1beta1";

async fn json_of(world: &World, path: &str) -> Value {
    let (code, body) = world.get(&format!("{BASE}/{path}")).await;
    assert_eq!(code, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn nodes_that_do_not_answer_are_left_out() {
    let world = world().await;
    let list = json_of(&world, "nodes").await;
    assert_eq!((list["kind"].as_str(), names(&list)), (Some("NodeMetricsList"), vec!["one"]));
    let one = json_of(&world, "nodes/one").await;
    assert_eq!(one["usage"], json!({"cpu": "250m", "memory": "2Gi"}));
    assert_eq!((&one["window"], &one["timestamp"]), (&json!("1.5s"), &json!("2026-01-01T00:00:07Z")));
    assert_eq!(
        world.refused(&format!("{BASE}/nodes/two")).await,
        (404, "nodemetrics.metrics.k8s.io \"two\" not found".to_owned())
    );
    assert_eq!(world.refused(&format!("{BASE}/nodes/three")).await, (404, "nodes \"three\" not found".to_owned()));
}

#[tokio::test]
async fn pods_are_those_that_run_and_are_selected() {
    let world = world().await;
    let list = json_of(&world, "pods").await;
    assert_eq!((list["kind"].as_str(), names(&list)), (Some("PodMetricsList"), vec!["web"]));
    assert_eq!(names(&json_of(&world, "namespaces/shop/pods?labelSelector=app%3Dweb").await), ["web"]);
    assert!(names(&json_of(&world, "namespaces/shop/pods?labelSelector=app%3Dother").await).is_empty());
    assert!(names(&json_of(&world, "namespaces/other/pods").await).is_empty());
    let web = json_of(&world, "namespaces/shop/pods/web").await;
    assert_eq!(web["metadata"]["labels"], json!({"app": "web"}));
    assert_eq!(
        web["containers"],
        json!([
            {"name": "app", "usage": {"cpu": "1500n", "memory": "4Ki"}},
            {"name": "waiting", "usage": {"cpu": "0", "memory": "8Ki"}},
        ])
    );
    let refused = [
        ("new", "podmetrics.metrics.k8s.io \"shop/new\" not found"),
        ("lost", "podmetrics.metrics.k8s.io \"shop/lost\" not found"),
        ("gone", "pods \"gone\" not found"),
    ];
    for (name, message) in refused {
        let path = format!("{BASE}/namespaces/shop/pods/{name}");
        assert_eq!(world.refused(&path).await, (404, message.to_owned()), "{name}");
    }
}

#[tokio::test]
async fn tables_sum_the_containers() {
    let world = world().await;
    let path = format!("{BASE}/namespaces/shop/pods?includeObject=None");
    let accept = "Accept: application/json;as=Table;g=meta.k8s.io;v=v1\r\n";
    let (_, body) = world.get_with(&path, accept).await;
    let table: Value = serde_json::from_str(&body).unwrap();
    let heads: Vec<&Value> = table["columnDefinitions"].as_array().unwrap().iter().map(|head| &head["name"]).collect();
    assert_eq!(heads, ["Name", "cpu", "memory", "Window"]);
    assert_eq!(table["rows"], json!([{"cells": ["web", "1500n", "12Ki", "10s"]}]));
}

#[tokio::test]
async fn metrics_are_only_read() {
    let world = world().await;
    for path in ["nodes?watch=true", "pods/web"] {
        assert_eq!(world.refused(&format!("{BASE}/{path}")).await.0, 405, "{path}");
    }
    for path in ["things", "nodes/one/status", "namespaces/shop/nodes"] {
        assert_eq!(world.refused(&format!("{BASE}/{path}")).await.0, 404, "{path}");
    }
}
