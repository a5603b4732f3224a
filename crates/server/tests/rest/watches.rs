//! Watches: what they show, from where, and how they end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use store::Store;

use crate::world::{World, config};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn revision(world: &World) -> String {
    let list = world.ok(&format!("GET {MAPS}"), Value::Null).await;
    list["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_watch_tells_what_happens_from_a_revision_on() {
    let world = World::new().await;
    world.config_map("old").await;
    let from = revision(&world).await;
    world.config_map("a").await;
    let mut watch = world.watch(&format!("{MAPS}?watch=1&resourceVersion={from}")).await;
    assert_eq!(watch.brief().await, "ADDED a");
    let patched = world.ok(&format!("MERGE {MAPS}/a"), json!({"data": {"k": "v"}})).await;
    let event = watch.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]), (&json!("MODIFIED"), &patched));
    world.ok(&format!("DELETE {MAPS}/a"), Value::Null).await;
    let event = watch.next().await.unwrap();
    assert_eq!(event["type"], "DELETED");
    let (before, after) = (&patched["metadata"]["resourceVersion"], &event["object"]["metadata"]["resourceVersion"]);
    assert!(after.as_str().unwrap().parse::<u64>().unwrap() > before.as_str().unwrap().parse::<u64>().unwrap());
    assert_eq!(event["object"]["data"], json!({"k": "v"}));
}

#[tokio::test]
async fn without_a_revision_what_is_there_comes_first() {
    let world = World::new().await;
    world.config_map("a").await;
    world.config_map("b").await;
    for query in ["watch=1", "watch=true&resourceVersion=0"] {
        let mut watch = world.watch(&format!("{MAPS}?{query}")).await;
        assert_eq!([watch.brief().await, watch.brief().await], ["ADDED a", "ADDED b"]);
    }
    let mut old_style = world.watch("/api/v1/watch/namespaces/default/configmaps/b").await;
    assert_eq!(old_style.brief().await, "ADDED b");
}

#[tokio::test]
async fn initial_events_end_with_a_bookmark() {
    let world = World::new().await;
    world.config_map("a").await;
    let query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let mut watch = world.watch(&format!("{MAPS}?{query}")).await;
    assert_eq!(watch.brief().await, "ADDED a");
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["kind"], "ConfigMap");
    let meta = &bookmark["object"]["metadata"];
    assert_eq!(meta["annotations"], json!({"k8s.io/initial-events-end": "true"}));
    assert_eq!(meta["resourceVersion"], revision(&world).await);
    world.config_map("b").await;
    assert_eq!(watch.brief().await, "ADDED b");
    let cases = [
        ("watch=1&sendInitialEvents=true", "requires setting resourceVersionMatch to NotOlderThan"),
        ("watch=1&resourceVersionMatch=NotOlderThan&resourceVersion=1", "forbidden for watch unless sendInitialEvents"),
    ];
    for (query, message) in cases {
        world.refused(&format!("GET {MAPS}?{query}"), Value::Null, 422, message).await;
    }
}

#[tokio::test]
async fn selectors_turn_changes_into_comings_and_goings() {
    let world = World::new().await;
    let from = revision(&world).await;
    let mut labelled = world.watch(&format!("{MAPS}?watch=1&resourceVersion={from}&labelSelector=x%3D1")).await;
    let mut named =
        world.watch(&format!("{MAPS}?watch=1&resourceVersion={from}&fieldSelector=metadata.name%3Db")).await;
    world.config_map("a").await;
    world.ok(&format!("MERGE {MAPS}/a"), json!({"metadata": {"labels": {"x": "1"}}})).await;
    assert_eq!(labelled.brief().await, "ADDED a");
    world.ok(&format!("MERGE {MAPS}/a"), json!({"data": {"k": "v"}})).await;
    assert_eq!(labelled.brief().await, "MODIFIED a");
    let gone = world.ok(&format!("MERGE {MAPS}/a"), json!({"metadata": {"labels": {"x": "2"}}})).await;
    let event = labelled.next().await.unwrap();
    assert_eq!(event["type"], "DELETED");
    assert_eq!(event["object"]["metadata"]["labels"], json!({"x": "1"}), "the state that still matched");
    assert_eq!(event["object"]["metadata"]["resourceVersion"], gone["metadata"]["resourceVersion"]);
    world.ok(&format!("DELETE {MAPS}/a"), Value::Null).await;
    world.ok(&format!("POST {MAPS}"), json!({"metadata": {"name": "b", "labels": {"x": "1"}}})).await;
    assert_eq!(labelled.brief().await, "ADDED b");
    assert_eq!(named.brief().await, "ADDED b");
}

#[tokio::test]
async fn pods_of_a_node_are_watched_by_field() {
    let world = World::new().await;
    let mut watch = world.watch("/api/v1/pods?watch=1&fieldSelector=spec.nodeName%3Dn").await;
    world.pod("p").await;
    let binding = json!({"target": {"kind": "Node", "name": "n"}});
    world.ok("POST /api/v1/namespaces/default/pods/p/binding", binding).await;
    assert_eq!(watch.brief().await, "ADDED p");
}

#[tokio::test]
async fn a_revision_that_is_gone_is_told_in_the_stream() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Store::open(&directory.path().join("log"), Arc::new(kinds::catalogue())).unwrap();
    drop(World::over(open(), config()).await);
    let world = World::over(open(), config()).await; // Of what was before, a store keeps the state and no history.
    let mut watch = world.watch(&format!("{MAPS}?watch=1&resourceVersion=1")).await;
    let event = watch.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(event["object"]["reason"], "Expired");
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn a_watch_ends_in_time_with_a_bookmark() {
    let world = World::new().await;
    let from = revision(&world).await;
    let query = format!("watch=1&resourceVersion={from}&timeoutSeconds=90&allowWatchBookmarks=true");
    let mut watch = world.watch(&format!("{MAPS}?{query}")).await;
    watch.patience = Duration::from_secs(3600);
    tokio::time::pause();
    assert_eq!(watch.brief().await, "BOOKMARK");
    tokio::time::resume();
    world.ok("POST /api/v1/namespaces/default/secrets", json!({"metadata": {"name": "s"}})).await;
    tokio::time::pause();
    let last = watch.next().await.unwrap();
    assert_eq!(last["type"], "BOOKMARK");
    assert_eq!(watch.next().await, None);
    tokio::time::resume();
    assert_eq!(last["object"]["metadata"]["resourceVersion"], revision(&world).await, "other kinds move it on");
}

#[tokio::test]
async fn watches_end_when_the_server_stops() {
    let world = World::new().await;
    let mut watch = world.watch(&format!("{MAPS}?watch=1")).await;
    world.server.stopping.cancel();
    assert_eq!(watch.next().await, None);
}
