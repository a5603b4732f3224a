//! Scale and binding.

use serde_json::{Value, json};

use crate::world::{World, pod};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const PODS: &str = "/api/v1/namespaces/default/pods";

#[tokio::test]
async fn scale_reads_and_writes_replicas() {
    let world = World::new().await;
    let deployment = json!({
        "metadata": {"name": "d"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod("x")["spec"]},
        },
    });
    world.ok(&format!("POST {DEPLOYMENTS}"), deployment).await;
    let mut scale = world.ok(&format!("GET {DEPLOYMENTS}/d/scale"), Value::Null).await;
    assert_eq!((&scale["kind"], &scale["apiVersion"]), (&json!("Scale"), &json!("autoscaling/v1")));
    assert_eq!(
        (&scale["spec"], &scale["status"]),
        (&json!({"replicas": 2}), &json!({"replicas": 0, "selector": "a=b"}))
    );
    scale["spec"]["replicas"] = json!(5);
    let stale = scale.clone();
    assert_eq!(world.ok(&format!("PUT {DEPLOYMENTS}/d/scale"), scale).await["spec"]["replicas"], 5);
    world.refused(&format!("PUT {DEPLOYMENTS}/d/scale"), stale, 409, "the object has been modified").await;
    let patched = world.ok(&format!("MERGE {DEPLOYMENTS}/d/scale"), json!({"spec": {"replicas": 3}})).await;
    assert_eq!(patched["spec"]["replicas"], 3);
    let read = world.ok(&format!("GET {DEPLOYMENTS}/d"), Value::Null).await;
    assert_eq!((&read["spec"]["replicas"], &read["metadata"]["generation"]), (&json!(3), &json!(3)));
    let cases = [
        (
            json!({"spec": {"replicas": -1}}),
            422,
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        ),
        (json!({"spec": {"replicas": "x"}}), 400, "of type int32"),
        (json!({"metadata": {"name": "other"}}), 400, "does not match the name on the URL"),
    ];
    for (patch, code, message) in cases {
        world.refused(&format!("MERGE {DEPLOYMENTS}/d/scale"), patch, code, message).await;
    }
    world.refused(&format!("GET {DEPLOYMENTS}/e/scale"), Value::Null, 404, "deployments.apps \"e\" not found").await;
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let world = World::new().await;
    world.pod("p").await;
    let binding = |node: &str| json!({"kind": "Binding", "apiVersion": "v1", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": node}});
    let cases = [
        (json!({"target": {"kind": "Pod", "name": "x"}}), "target.kind: Unsupported value"),
        (json!({"target": {"kind": "Node"}}), "target.name: Required value"),
    ];
    for (body, message) in cases {
        world.refused(&format!("POST {PODS}/p/binding"), body, 422, message).await;
    }
    world.ok(&format!("POST {PODS}/p/binding"), binding("n")).await;
    let pod = world.ok(&format!("GET {PODS}/p"), Value::Null).await;
    assert_eq!(pod["spec"]["nodeName"], "n");
    let condition = &pod["status"]["conditions"][0];
    assert_eq!((&condition["type"], &condition["status"]), (&json!("PodScheduled"), &json!("True")));
    let message = "pod p is already assigned to node \"n\"";
    world.refused(&format!("POST {PODS}/p/binding"), binding("m"), 409, message).await;
    world.refused("POST /api/v1/namespaces/default/bindings", binding("m"), 409, message).await;
    world.refused(&format!("MERGE {PODS}/p"), json!({"spec": {"nodeName": "m"}}), 422, "spec").await;
}
