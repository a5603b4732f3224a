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

/// A collection of a kind, in `default` when it lives in namespaces.
fn collection(kind: &api::Kind) -> String {
    let base = if kind.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", kind.group) };
    let place = if kind.namespaced { "/namespaces/default" } else { "" };
    format!("{base}/{}{place}/{}", kind.version, kind.plural)
}

/// Replaces whatever is at each path of a value, one after the other.
fn spoiled(value: &Value, with: &Value, out: &mut Vec<Value>) {
    let paths: Vec<String> = paths(value, String::new());
    for path in paths {
        let mut copy = value.clone();
        *copy.pointer_mut(&path).unwrap() = with.clone();
        out.push(copy);
    }
}

fn paths(value: &Value, at: String) -> Vec<String> {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.replace('/', "~1"), field)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect(),
        _ => Vec::new(),
    };
    let below = below.into_iter().flat_map(|(name, field)| paths(field, format!("{at}/{name}")));
    std::iter::once(at.clone()).chain(below).filter(|path| !path.is_empty()).collect()
}

#[tokio::test]
async fn no_body_makes_the_server_fail() {
    let world = World::new().await;
    let nonsense =
        [Value::Null, json!(-1), json!("x"), json!(""), json!([]), json!({}), json!([null]), json!({"x": [1]})];
    for kind in world.server.catalogue.kinds() {
        let line = format!("POST {}", collection(kind));
        for some in &nonsense {
            for field in ["spec", "status", "data", "rules", "subsets", "metadata", "value", "template"] {
                let answer = world.call(&line, json!({"metadata": {"generateName": "a-"}, field: some})).await;
                assert_ne!(answer.code, 500, "{line} {field}: {some}: {}", answer.text());
            }
        }
    }
    let pod_spec = json!({
        "containers": [{
            "name": "c", "image": "i", "ports": [{"containerPort": 1, "protocol": "TCP"}],
            "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}},
            "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "livenessProbe": {"httpGet": {"path": "/", "port": 80}},
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
            "securityContext": {"runAsUser": 1},
        }],
        "initContainers": [{"name": "i", "image": "i", "restartPolicy": "Always"}],
        "volumes": [{"name": "v", "projected": {"sources": [{"configMap": {"name": "x"}}]}}],
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "k", "labelSelector": {"matchLabels": {"a": "b"}}}]}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "k", "whenUnsatisfiable": "DoNotSchedule"}],
    });
    let meta = json!({"generateName": "a-", "labels": {"a": "b"}, "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u"}], "finalizers": ["x.io/y"]});
    let service = json!({"type": "NodePort", "selector": {"a": "b"}, "clusterIP": "", "clusterIPs": [], "ipFamilies": ["IPv4"], "ports": [{"port": 1, "nodePort": 30001, "targetPort": "x"}]});
    let sent = [
        ("/api/v1/namespaces/default/pods", json!({"metadata": meta, "spec": pod_spec})),
        ("/api/v1/namespaces/default/services", json!({"metadata": meta, "spec": service})),
    ];
    for (path, whole) in sent {
        let mut bodies = Vec::new();
        nonsense.iter().for_each(|some| spoiled(&whole, some, &mut bodies));
        for body in bodies {
            let answer = world.call(&format!("POST {path}"), body.clone()).await;
            assert_ne!(answer.code, 500, "{path}: {body}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn no_query_makes_the_server_fail() {
    let world = World::new().await;
    world.config_map("a").await;
    let names = [
        "limit",
        "continue",
        "resourceVersion",
        "resourceVersionMatch",
        "labelSelector",
        "fieldSelector",
        "timeoutSeconds",
        "dryRun",
        "gracePeriodSeconds",
        "propagationPolicy",
        "includeObject",
        "fieldValidation",
        "sendInitialEvents",
    ];
    let values = [
        "",
        "-1",
        "99999999999999999999",
        "0",
        "x",
        "%00",
        "%ff",
        "(",
        "a in (",
        "!",
        ",,,",
        "a=b=c",
        "==",
        "true",
        "%F0%9F%9A%A2",
    ];
    for name in names {
        for value in values {
            for line in [
                "GET /api/v1/namespaces/default/secrets",
                "GET /api/v1/namespaces/default/configmaps/a",
                "DELETE /api/v1/namespaces/default/configmaps/b",
                "PUT /api/v1/namespaces/default/configmaps/b",
            ] {
                if name == "resourceVersion" && value.starts_with('9') {
                    continue; // Is waited for.
                }
                let answer = world.call(&format!("{line}?{name}={}", value.replace(' ', "%20")), Value::Null).await;
                assert!(answer.code < 500, "{line}?{name}={value}: {}", answer.text());
            }
        }
    }
}
