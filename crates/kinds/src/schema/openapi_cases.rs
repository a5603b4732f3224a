//! OpenAPI definitions of built-in kinds.

use api::schema::{Definitions, Dialect};
use serde_json::{Value, json};

use super::all;

fn written(root: &str, dialect: Dialect) -> Value {
    serde_json::to_value(Definitions::reachable(all(), [root], dialect)).unwrap()
}

#[test]
fn version_3_is_written_as_upstream_writes_it() {
    let all = written("io.k8s.api.apps.v1.Deployment", Dialect::V3);
    let deployment = &all["io.k8s.api.apps.v1.Deployment"];
    assert_eq!(
        deployment["x-kubernetes-group-version-kind"],
        json!([{"group": "apps", "kind": "Deployment", "version": "v1"}])
    );
    assert_eq!(
        deployment["properties"]["spec"]["allOf"],
        json!([{"$ref": "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"}])
    );
    assert!(deployment["properties"]["spec"]["description"].as_str().unwrap().len() > 10);
    assert!(all["io.k8s.api.core.v1.LocalObjectReference"].get("required").is_none());

    let spec = &all["io.k8s.api.apps.v1.DeploymentSpec"];
    assert_eq!(spec["required"], json!(["selector", "template"]));
    assert_eq!(spec["properties"]["strategy"]["x-kubernetes-patch-strategy"], json!("retainKeys"));
    assert_eq!(
        (&spec["properties"]["replicas"]["type"], &spec["properties"]["replicas"]["format"]),
        (&json!("integer"), &json!("int32"))
    );

    let containers = &all["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-list-type"], json!("map"));
    assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
    assert_eq!(containers["x-kubernetes-patch-merge-key"], json!("name"));
    assert_eq!(containers["x-kubernetes-patch-strategy"], json!("merge"));
    assert_eq!(containers["items"], json!({"$ref": "#/components/schemas/io.k8s.api.core.v1.Container"}));
    assert_eq!(
        all["io.k8s.api.core.v1.Container"]["properties"]["ports"]["x-kubernetes-list-map-keys"],
        json!(["containerPort", "protocol"])
    );
    let quantity = &all["io.k8s.apimachinery.pkg.api.resource.Quantity"];
    assert_eq!(quantity["oneOf"], json!([{"type": "number"}, {"type": "string"}]));
    let time = &all["io.k8s.apimachinery.pkg.apis.meta.v1.Time"];
    assert_eq!((&time["type"], &time["format"]), (&json!("string"), &json!("date-time")));
}

#[test]
fn version_2_refers_to_definitions() {
    let all = written("io.k8s.api.core.v1.Service", Dialect::V2);
    let service = &all["io.k8s.api.core.v1.Service"]["properties"];
    assert_eq!(service["spec"]["$ref"], json!("#/definitions/io.k8s.api.core.v1.ServiceSpec"));
    assert!(service["spec"]["description"].is_string());
    let target = &all["io.k8s.apimachinery.pkg.util.intstr.IntOrString"];
    assert_eq!((&target["type"], &target["format"]), (&json!("string"), &json!("int-or-string")));
}

#[test]
fn only_what_is_reachable_is_written() {
    let config_map = written("io.k8s.api.core.v1.ConfigMap", Dialect::V3);
    let names: Vec<&str> =
        config_map.as_object().unwrap().keys().map(|name| name.rsplit('.').next().unwrap()).collect();
    assert_eq!(names, ["ConfigMap", "FieldsV1", "ManagedFieldsEntry", "ObjectMeta", "OwnerReference", "Time"]);
    assert_eq!(written("no.such.Type", Dialect::V3), json!({}));
}

#[test]
fn every_reference_that_is_written_is_answered() {
    for (dialect, prefix) in [(Dialect::V2, "#/definitions/"), (Dialect::V3, "#/components/schemas/")] {
        let names: Vec<&str> = all().definitions().iter().map(|definition| &*definition.name).collect();
        let document = serde_json::to_value(Definitions::reachable(all(), names, dialect)).unwrap();
        let text = document.to_string();
        for target in text.split("\"$ref\":\"").skip(1) {
            let target = target.split('"').next().unwrap();
            assert!(document.get(target.strip_prefix(prefix).unwrap()).is_some(), "{target}");
        }
    }
}

#[test]
fn list_kinds_hold_their_kind() {
    let list = written("io.k8s.api.core.v1.PodList", Dialect::V3);
    let list = &list["io.k8s.api.core.v1.PodList"];
    assert_eq!(list["required"], json!(["items"]));
    assert_eq!(list["properties"]["items"]["items"], json!({"$ref": "#/components/schemas/io.k8s.api.core.v1.Pod"}));
}
