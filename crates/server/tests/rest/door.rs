//! The door for callers in this process.

use api::{Change, EventType, Key, Propagation, Subresource};
use serde_json::{Value, json};
use server::{Door, User};

use crate::world::{World, pod};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn key(world: &World, kind: &str, name: &str) -> Key {
    Key::new(world.server.catalogue.by_kind("", kind).unwrap().id, "default", name)
}

fn config_map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}})
}

#[tokio::test]
async fn changes_pass_the_same_rules() {
    let world = World::new().await;
    let (door, admin) = (Door::new(world.server.clone()), User::apiserver());
    let created = door.commit(&admin, Change::Create(config_map("a"))).await.unwrap().unwrap();
    let uid = created.header.uid.to_string();
    let patch = |uid: &str| Change::Patch {
        key: key(&world, "ConfigMap", "a"),
        uid: uid.to_owned(),
        part: Subresource::Main,
        patch: json!({"data": {"k": "v"}}),
    };
    let refused = door.commit(&admin, patch("other")).await.unwrap_err();
    assert_eq!(refused.code(), 409, "{refused}");
    let patched = door.commit(&admin, patch(&uid)).await.unwrap().unwrap();
    assert_eq!(patched.value()["data"], json!({"k": "v"}));
    let stale = door.commit(&admin, Change::Update(created.value(), Subresource::Main)).await.unwrap_err();
    assert_eq!(stale.code(), 409, "{stale}");
    let delete =
        Change::Delete { key: key(&world, "ConfigMap", "a"), uid, propagation: Propagation::Background, grace: None };
    assert!(door.commit(&admin, delete).await.unwrap().is_none());
    world.refused(&format!("GET {MAPS}/a"), Value::Null, 404, "not found").await;
    let nobody = User::new("nobody", ["system:authenticated"]);
    let refused = door.commit(&nobody, Change::Create(config_map("b"))).await.unwrap_err();
    assert_eq!(refused.code(), 403, "{refused}");
    let missing = json!({"apiVersion": "v1", "kind": "Unicorn", "metadata": {"name": "u"}});
    assert_eq!(door.commit(&admin, Change::Create(missing)).await.unwrap_err().code(), 404);
}

#[tokio::test]
async fn pods_are_bound_and_workloads_scaled() {
    let world = World::new().await;
    let (door, admin) = (Door::new(world.server.clone()), User::apiserver());
    let made = world.pod("p").await;
    let uid = made["metadata"]["uid"].as_str().unwrap().to_owned();
    let bind = Change::Bind { key: key(&world, "Pod", "p"), uid, node: "n".to_owned() };
    let bound = door.commit(&admin, bind.clone()).await.unwrap().unwrap();
    assert_eq!(bound.value()["spec"]["nodeName"], "n");
    assert_eq!(door.commit(&admin, bind).await.unwrap_err().code(), 409);
    let set = json!({
        "metadata": {"name": "r"},
        "spec": {"selector": {"a": "b"}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod("x")["spec"]}},
    });
    let made = world.ok("POST /api/v1/namespaces/default/replicationcontrollers", set).await;
    let uid = made["metadata"]["uid"].as_str().unwrap().to_owned();
    let scale = Change::Scale { key: key(&world, "ReplicationController", "r"), uid, replicas: 4 };
    assert_eq!(door.commit(&admin, scale).await.unwrap().unwrap().value()["spec"]["replicas"], 4);
}

#[tokio::test]
async fn equal_events_count_up_and_similar_ones_are_combined() {
    let world = World::new().await;
    let door = Door::new(world.server.clone());
    let controller = User::controller("deployment");
    let about = json!({"apiVersion": "v1", "kind": "Pod", "namespace": "default", "name": "p", "uid": "u"});
    let event = |message: String| Change::Event {
        about: about.clone(),
        kind: EventType::Normal,
        reason: "Did".to_owned(),
        message,
    };
    for _ in 0..3 {
        door.commit(&controller, event("it".to_owned())).await.unwrap();
    }
    for at in 0..12 {
        door.commit(&controller, event(format!("thing {at}"))).await.unwrap();
    }
    let events = world.ok("GET /api/v1/namespaces/default/events", Value::Null).await;
    let events = events["items"].as_array().unwrap();
    assert_eq!(events.len(), 11);
    let found = |text: &str| events.iter().find(|event| event["message"].as_str().unwrap().starts_with(text)).unwrap();
    let first = found("it");
    assert_eq!((&first["count"], &first["type"], &first["reason"]), (&json!(3), &json!("Normal"), &json!("Did")));
    assert_eq!(first["source"]["component"], "deployment-controller");
    assert_eq!(found("(combined from similar events): ")["count"], 3);
}

#[tokio::test]
async fn a_namespace_is_finalized_by_a_plan() {
    let world = World::new().await;
    let door = Door::new(world.server.clone());
    world.ok("POST /api/v1/namespaces", json!({"metadata": {"name": "n"}})).await;
    let marked = world.ok("DELETE /api/v1/namespaces/n", Value::Null).await;
    let id = world.server.catalogue.by_kind("", "Namespace").unwrap().id;
    let finalize = Change::Patch {
        key: Key::new(id, "", "n"),
        uid: marked["metadata"]["uid"].as_str().unwrap().to_owned(),
        part: Subresource::Main,
        patch: json!({"spec": {"finalizers": []}}),
    };
    assert!(door.commit(&User::controller("namespace"), finalize).await.unwrap().is_none());
    world.refused("GET /api/v1/namespaces/n", Value::Null, 404, "not found").await;
}
