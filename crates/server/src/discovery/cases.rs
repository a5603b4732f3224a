//! What discovery says of a small catalogue.

use api::kind::{Alias, Rules, ScalePaths};
use api::{Catalogue, GroupKind, KindDef};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use serde_json::json;

use super::aggregated::{V2, list};
use super::legacy::{api_versions, group, group_list, resource_list};
use super::paths;
use super::resources::{Group, groups};

const SCALE: ScalePaths =
    ScalePaths { spec_replicas: "spec.replicas", status_replicas: "status.replicas", selector: "spec.selector" };

fn world() -> Vec<Group> {
    let kinds = [
        KindDef::cluster::<Node>(&Rules::NONE).with_status(),
        KindDef::namespaced::<Pod>(&Rules::NONE).short(&["po"]).in_all().with_status(),
        KindDef::namespaced::<Deployment>(&Rules::NONE).with_status().with_scale(SCALE),
        KindDef::namespaced::<Event>(&Rules::NONE),
    ];
    let events = Alias {
        group: "events.k8s.io",
        version: "v1",
        stored: GroupKind { group: "", kind: "Event" },
        serve: |_| {},
        store: |_| {},
    };
    groups(&Catalogue::new(&kinds, &[events]))
}

#[test]
fn groups_and_versions_are_listed() {
    let groups = world();
    let names: Vec<&str> = groups.iter().map(|group| group.name).collect();
    assert_eq!(names, ["", "apps", "events.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "metrics.k8s.io"]);
    assert_eq!(api_versions(&groups, "1.2.3.4:6443")["versions"], json!(["v1"]));
    assert_eq!(
        group_list(&groups)["groups"][0],
        json!({
            "name": "apps",
            "versions": [{"groupVersion": "apps/v1", "version": "v1"}],
            "preferredVersion": {"groupVersion": "apps/v1", "version": "v1"},
        })
    );
    assert_eq!(group(&groups[1])["kind"], "APIGroup");
    assert!(paths(&groups).contains(&"/apis/apps/v1".to_owned()));
}

#[test]
fn resources_have_their_subresources() {
    let groups = world();
    let core = resource_list(&groups[0].versions[0]);
    assert_eq!(core["groupVersion"], "v1");
    let names: Vec<&str> =
        core["resources"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "bindings",
            "events",
            "nodes",
            "nodes/proxy",
            "nodes/status",
            "pods",
            "pods/attach",
            "pods/binding",
            "pods/ephemeralcontainers",
            "pods/eviction",
            "pods/exec",
            "pods/log",
            "pods/portforward",
            "pods/proxy",
            "pods/resize",
            "pods/status",
        ]
    );
    let entry =
        |name: &str| core["resources"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    assert_eq!(
        entry("pods"),
        json!({
            "name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "shortNames": ["po"], "categories": ["all"],
            "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        })
    );
    assert_eq!(
        entry("pods/eviction"),
        json!({
            "name": "pods/eviction", "singularName": "", "namespaced": true, "group": "policy", "version": "v1",
            "kind": "Eviction", "verbs": ["create"],
        })
    );
    assert_eq!(entry("nodes")["namespaced"], json!(false));
}

#[test]
fn aggregated_discovery_says_the_same() {
    let groups = world();
    let apis = list(groups.iter().skip(1), V2);
    assert_eq!(apis["apiVersion"], "apidiscovery.k8s.io/v2");
    let apps = &apis["items"][0];
    assert_eq!(apps["metadata"]["name"], "apps");
    assert_eq!(
        apps["versions"][0]["resources"][0],
        json!({
            "resource": "deployments",
            "responseKind": {"group": "apps", "version": "v1", "kind": "Deployment"},
            "scope": "Namespaced",
            "singularResource": "deployment",
            "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
            "subresources": [
                {"subresource": "scale", "responseKind": {"group": "autoscaling", "version": "v1", "kind": "Scale"}, "verbs": ["get", "patch", "update"]},
                {"subresource": "status", "responseKind": {"group": "apps", "version": "v1", "kind": "Deployment"}, "verbs": ["get", "patch", "update"]},
            ],
        })
    );
}
