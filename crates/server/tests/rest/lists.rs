//! Get and list: revisions, chunks, selectors.

use serde_json::{Value, json};

use crate::world::World;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

fn revision(value: &Value) -> u64 {
    value["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_object_is_answered_as_stored() {
    let world = World::new().await;
    let created = world.config_map("a").await;
    assert_eq!(world.ok(&format!("GET {MAPS}/a"), Value::Null).await, created);
    assert_eq!(created["kind"], "ConfigMap");
    let status = world.refused(&format!("GET {MAPS}/b"), Value::Null, 404, "configmaps \"b\" not found").await;
    assert_eq!(status["reason"], "NotFound");
    assert_eq!(status["details"], json!({"name": "b", "kind": "configmaps"}));
}

#[tokio::test]
async fn a_list_is_of_one_revision() {
    let world = World::new().await;
    world.config_map("a").await;
    let last = world.config_map("b").await;
    let list = world.ok(&format!("GET {MAPS}"), Value::Null).await;
    assert_eq!((names(&list), revision(&list)), (vec!["a", "b"], revision(&last)));
    assert_eq!(list["kind"], "ConfigMapList");
    assert_eq!(list["apiVersion"], "v1");
    let everywhere = world.ok("GET /api/v1/configmaps", Value::Null).await;
    assert_eq!(names(&everywhere), ["a", "b"]);
    let empty = world.ok("GET /api/v1/namespaces/missing/configmaps", Value::Null).await;
    assert_eq!(names(&empty), Vec::<&str>::new());
}

#[tokio::test]
async fn selectors_narrow_lists() {
    let world = World::new().await;
    for (name, labels) in [("a", json!({"x": "1"})), ("b", json!({"x": "2"})), ("c", json!({}))] {
        world.ok(&format!("POST {MAPS}"), json!({"metadata": {"name": name, "labels": labels}})).await;
    }
    let cases = [
        ("labelSelector=x%3D1", vec!["a"]),
        ("labelSelector=x", vec!["a", "b"]),
        ("labelSelector=!x", vec!["c"]),
        ("labelSelector=x+in+(1,2),x!%3D2", vec!["a"]),
        ("fieldSelector=metadata.name%3Db", vec!["b"]),
        ("fieldSelector=metadata.name!%3Db", vec!["a", "c"]),
        ("fieldSelector=metadata.namespace%3Dother", vec![]),
        ("fieldSelector=metadata.name%3Db&labelSelector=x%3D1", vec![]),
    ];
    for (query, expected) in cases {
        for base in [MAPS, "/api/v1/configmaps"] {
            let list = world.ok(&format!("GET {base}?{query}"), Value::Null).await;
            assert_eq!(names(&list), expected, "{query}");
        }
    }
    world.refused(&format!("GET {MAPS}?labelSelector=a%3D%3D%3Db"), Value::Null, 400, "unable to parse").await;
    world.refused(&format!("GET {MAPS}?fieldSelector=data.x%3D1"), Value::Null, 400, "field label not supported").await;
}

#[tokio::test]
async fn chunks_are_of_one_revision() {
    let world = World::new().await;
    for name in ["a", "b", "c", "d", "e"] {
        world.config_map(name).await;
    }
    let first = world.ok(&format!("GET {MAPS}?limit=2"), Value::Null).await;
    assert_eq!((names(&first), &first["metadata"]["remainingItemCount"]), (vec!["a", "b"], &json!(3)));
    world.ok(&format!("DELETE {MAPS}/c"), Value::Null).await;
    world.config_map("bb").await;
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = world.ok(&format!("GET {MAPS}?limit=2&continue={token}"), Value::Null).await;
    assert_eq!(names(&second), ["c", "d"]);
    assert_eq!(revision(&second), revision(&first));
    let token = second["metadata"]["continue"].as_str().unwrap();
    let last = world.ok(&format!("GET {MAPS}?limit=2&continue={token}"), Value::Null).await;
    assert_eq!((names(&last), &last["metadata"]["continue"]), (vec!["e"], &Value::Null));
    let exact = world.ok(&format!("GET {MAPS}?limit=9&labelSelector=!x"), Value::Null).await;
    assert_eq!(exact["metadata"]["remainingItemCount"], Value::Null);
}

#[tokio::test]
async fn a_chunk_that_is_too_old_says_how_to_go_on() {
    let world = World::new().await;
    world.config_map("a").await;
    world.config_map("b").await;
    let position = json!({"v": "meta.k8s.io/v1", "rv": 1, "start": "default/a"}).to_string();
    let token = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, position);
    let status = world
        .refused(&format!("GET {MAPS}?limit=1&continue={token}"), Value::Null, 410, "continue parameter is too old")
        .await;
    assert_eq!(status["reason"], "Expired");
    let token = status["metadata"]["continue"].as_str().unwrap();
    let rest = world.ok(&format!("GET {MAPS}?limit=1&continue={token}"), Value::Null).await;
    assert_eq!(names(&rest), ["b"]);
    world.refused(&format!("GET {MAPS}?continue=!"), Value::Null, 400, "continue key is not valid").await;
    world
        .refused(
            &format!("GET {MAPS}?continue={token}&resourceVersion=5"),
            Value::Null,
            400,
            "not allowed when using continue",
        )
        .await;
}

#[tokio::test]
async fn revisions_of_lists_are_honoured() {
    let world = World::new().await;
    let now = revision(&world.config_map("a").await);
    for query in [
        "resourceVersion=0".to_owned(),
        format!("resourceVersion={now}"),
        format!("resourceVersion={now}&resourceVersionMatch=Exact"),
        "resourceVersion=1&resourceVersionMatch=NotOlderThan".to_owned(),
        "resourceVersion=0&limit=5".to_owned(),
    ] {
        let list = world.ok(&format!("GET {MAPS}?{query}"), Value::Null).await;
        assert_eq!(names(&list), ["a"], "{query}");
    }
    let cases = [
        ("resourceVersion=1&resourceVersionMatch=Exact", 410, "too old"),
        ("resourceVersion=1&limit=1", 410, "too old"),
        ("resourceVersion=999999&resourceVersionMatch=Exact", 504, "Too large resource version: 999999"),
        ("resourceVersion=x", 400, "Invalid value: \"x\""),
        ("resourceVersionMatch=Exact", 422, "resourceVersionMatch is forbidden unless resourceVersion is provided"),
        ("resourceVersion=1&resourceVersionMatch=Sometimes", 422, "Unsupported value: \"Sometimes\""),
        ("resourceVersion=0&resourceVersionMatch=Exact", 422, "forbidden for resourceVersion \"0\""),
        ("sendInitialEvents=true", 422, "sendInitialEvents is forbidden for list"),
        ("limit=x", 400, "invalid syntax"),
    ];
    for (query, code, message) in cases {
        world.refused(&format!("GET {MAPS}?{query}"), Value::Null, code, message).await;
    }
}

#[tokio::test]
async fn a_revision_to_come_is_waited_for_a_little() {
    let world = World::new().await;
    tokio::time::pause();
    let status = world
        .refused(&format!("GET {MAPS}?resourceVersion=999999"), Value::Null, 504, "Too large resource version")
        .await;
    tokio::time::resume();
    assert_eq!(status["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    let next = revision(&world.config_map("a").await) + 1;
    let path = format!("GET {MAPS}/b?resourceVersion={next}");
    let (found, _) = tokio::join!(world.ok(&path, Value::Null), world.config_map("b"));
    assert_eq!(found["metadata"]["name"], "b");
}

#[tokio::test]
async fn large_lists_are_whole_and_compressed_on_request() {
    let world = World::new().await;
    let text = "x".repeat(50_000);
    for at in 0..9 {
        let map = json!({"metadata": {"name": format!("m{at}")}, "data": {"k": text}});
        world.ok(&format!("POST {MAPS}"), map).await;
    }
    let plain = world.ok(&format!("GET {MAPS}"), Value::Null).await;
    assert_eq!(names(&plain).len(), 9);
    let packed = world.send(&format!("GET {MAPS}"), &[("accept-encoding", "gzip")], "").await;
    assert_eq!(packed.headers["content-encoding"], "gzip");
    assert!(packed.body.len() < 50_000);
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed.body[..]), &mut unpacked).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&unpacked).unwrap(), plain);
    let small = world.send(&format!("GET {MAPS}/m1"), &[("accept-encoding", "gzip")], "").await;
    assert!(!small.headers.contains_key("content-encoding"));
}
