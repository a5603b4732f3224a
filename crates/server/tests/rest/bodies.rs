//! What is sent and what is accepted: encodings, validation of fields, limits, and nonsense.

use serde_json::{Value, json};

use crate::world::World;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const JSON: (&str, &str) = ("content-type", "application/json");
const YAML: (&str, &str) = ("content-type", "application/yaml");

#[tokio::test]
async fn yaml_is_understood_and_written() {
    let world = World::new().await;
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  yes-no: \"yes\"\n";
    let answer = world.send(&format!("POST {MAPS}"), &[YAML, ("accept", "application/yaml")], yaml).await;
    assert_eq!((answer.code, answer.headers["content-type"].to_str().unwrap()), (201, "application/yaml"));
    assert!(answer.text().contains("name: a\n"), "{}", answer.text());
    let list = world.get_as(MAPS, "application/yaml").await;
    assert!(list.text().contains("kind: ConfigMapList\n"), "{}", list.text());
    let watch = world.get_as(&format!("{MAPS}?watch=1"), "application/yaml").await;
    assert_eq!(watch.code, 406);
}

#[tokio::test]
async fn unknown_media_types_are_refused() {
    let world = World::new().await;
    let answer = world.get_as(MAPS, "application/vnd.kubernetes.protobuf").await;
    assert_eq!((answer.code, answer.json()["reason"].clone()), (406, json!("NotAcceptable")));
    let answer = world.send(&format!("POST {MAPS}"), &[("content-type", "application/cbor")], "x").await;
    assert_eq!((answer.code, answer.json()["reason"].clone()), (415, json!("UnsupportedMediaType")));
}

#[tokio::test]
async fn unknown_and_double_fields_are_treated_as_asked() {
    let world = World::new().await;
    let body = |name: &str| format!(r#"{{"metadata":{{"name":"{name}"}},"data":{{"a":"1","a":"2"}},"dota":1}}"#);
    let strict = world.send(&format!("POST {MAPS}?fieldValidation=Strict"), &[JSON], body("a")).await;
    assert_eq!(strict.code, 400);
    let message = strict.json()["message"].as_str().unwrap().to_owned();
    assert_eq!(
        message,
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"dota\", duplicate field \"data.a\""
    );
    for (query, warnings) in [
        ("", vec!["299 - \"unknown field \\\"dota\\\"\"", "299 - \"duplicate field \\\"data.a\\\"\""]),
        ("?fieldValidation=Ignore", vec![]),
    ] {
        let name = format!("m{}", query.len());
        let lenient = world.send(&format!("POST {MAPS}{query}"), &[JSON], body(&name)).await;
        assert_eq!(lenient.code, 201);
        let found: Vec<_> = lenient.headers.get_all("warning").iter().collect();
        assert_eq!(found, warnings);
        assert_eq!((&lenient.json()["data"], &lenient.json()["dota"]), (&json!({"a": "2"}), &Value::Null));
    }
    let answer = world.send(&format!("POST {MAPS}?fieldValidation=Maybe"), &[JSON], body("x")).await;
    assert_eq!(answer.code, 422);
    let patch = json!({"dota": 1});
    world.config_map("a").await;
    world.refused(&format!("MERGE {MAPS}/a?fieldValidation=Strict"), patch, 400, "unknown field \"dota\"").await;
}

#[tokio::test]
async fn nonsense_is_refused_with_a_status() {
    let world = World::new().await;
    let deep = format!(r#"{{"data":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let deep_yaml = format!("data: {}", "[".repeat(100_000));
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nmetadata: {name: bomb}\n";
    let large = format!(r#"{{"metadata":{{"name":"a"}},"data":{{"k":"{}"}}}}"#, "x".repeat(3 * 1024 * 1024));
    let cases: Vec<((&str, &str), &str, u16)> = vec![
        (JSON, "", 400),
        (JSON, "{", 400),
        (JSON, "[]", 400),
        (JSON, "null", 400),
        (JSON, "\"a\"", 400),
        (JSON, "{\"metadata\": 5}", 400),
        (JSON, "{\"kind\": 5}", 400),
        (JSON, "{\"metadata\": {\"name\": 5}}", 400),
        (JSON, "{\"metadata\": {\"name\": \"a\", \"labels\": {\"a\": 1}}}", 400),
        (JSON, "{\"metadata\": {\"name\": \"a\"}, \"data\": []}", 400),
        (JSON, "{\"metadata\": {\"name\": \"a\"}, \"data\": {\"a\": 1e999}}", 400),
        (JSON, &deep, 400),
        (JSON, &large, 413),
        (YAML, "a: [", 400),
        (YAML, "\t", 400),
        (YAML, &deep_yaml, 400),
        (("content-type", "application/vnd.kubernetes.protobuf"), "k8s\0\x0a\x7f", 400),
    ];
    for (kind, body, code) in cases {
        let answer = world.send(&format!("POST {MAPS}"), &[kind], body.to_owned()).await;
        let shown: String = body.chars().take(60).collect();
        assert_eq!(answer.code, code, "{shown}: {}", answer.text());
        assert_eq!(answer.json()["kind"], "Status", "{shown}: {}", answer.text());
    }
    let answer = world.send(&format!("POST {MAPS}"), &[YAML], bomb).await;
    assert!(answer.body.len() < 10_000_000, "{}", answer.body.len());
}

#[tokio::test]
async fn paths_and_methods_that_are_not_served() {
    let world = World::new().await;
    let cases = [
        ("GET /api/v1/unicorns", 404),
        ("GET /apis/nowhere.io/v1/things", 404),
        ("GET /api/v2/pods", 404),
        ("GET /nowhere", 404),
        ("GET /api/v1/namespaces/default/pods/p/unicorn", 404),
        ("PUT /api/v1/namespaces/default/pods", 405),
        ("PATCH /api/v1/namespaces/default/pods", 405),
        ("OPTIONS /api/v1/namespaces/default/pods", 405),
        ("POST /api/v1/namespaces/default/pods/p/scale", 404),
        ("GET /api/v1/namespaces/%00/pods/%2e%2e", 404),
        ("GET /api/v1/namespaces//pods", 404),
        ("GET /%ff%fe", 404),
        ("DELETE /api/v1/nodes/x/proxy/%2f", 404),
    ];
    for (line, code) in cases {
        let answer = world.call(line, Value::Null).await;
        assert_eq!(answer.code, code, "{line}: {}", answer.text());
    }
    assert_eq!(world.call("GET /nowhere", Value::Null).await.text(), "404 page not found\n");
}

#[tokio::test]
async fn requests_beyond_the_bound_are_told_to_come_again() {
    let mut config = crate::world::config();
    config.max_in_flight = 3;
    let world = World::with(config).await;
    let requests =
        (0..20).map(|_| world.call("GET /api/v1/namespaces/default/configmaps/x?resourceVersion=99999", Value::Null));
    let answers = futures::future::join_all(requests).await;
    let busy: Vec<_> = answers.iter().filter(|answer| answer.code == 429).collect();
    assert_eq!(busy.len(), 17);
    assert_eq!(busy[0].headers["retry-after"], "1");
}
