//! ReplicaSets: what they adopt, what they let go, what they count.

use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;

use crate::{active, n_ready, told};

const SET: &str = "
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: x}]}
";

fn owned(pod: &Pod) -> bool {
    pod.metadata.owner_references.iter().flatten().any(|owner| owner.name == "web" && owner.controller == Some(true))
}

#[test]
fn orphans_are_adopted_and_strangers_let_go() {
    told(2, |cluster| {
        cluster.apply(
            "
apiVersion: v1
kind: Pod
metadata: {name: first, labels: {app: web}}
spec: {containers: [{name: c, image: x}]}",
        );
        cluster.settle(5);
        cluster.apply(SET);
        cluster.settle(30);
        assert!(owned(cluster.get::<Pod>("first").unwrap()));
        assert_eq!(n_ready(cluster.list::<Pod>(), "web"), 3);
        cluster.patch::<Pod>("first", json!({"metadata": {"labels": {"app": "other"}}}));
        cluster.settle(30);
        assert!(!owned(cluster.get::<Pod>("first").unwrap()));
        assert_eq!(n_ready(cluster.list::<Pod>(), "web"), 3);
        // It comes back: one is too many.
        cluster.patch::<Pod>("first", json!({"metadata": {"labels": {"app": "web"}}}));
        cluster.settle(60);
        assert_eq!(active(cluster.list::<Pod>(), "web").len(), 3);
    });
}

#[test]
fn a_set_follows_its_size() {
    told(3, |cluster| {
        cluster.apply(SET);
        cluster.settle(5);
        for size in [8, 2, 5, 0, 3] {
            cluster.patch::<ReplicaSet>("web", json!({"spec": {"replicas": size}}));
            cluster.settle(40);
            assert_eq!(n_ready(cluster.list::<Pod>(), "web"), size);
            let status = cluster.get::<ReplicaSet>("web").unwrap().status.clone().unwrap();
            assert_eq!(status.ready_replicas.unwrap_or_default(), i32::try_from(size).unwrap());
            assert_eq!(status.observed_generation, cluster.get::<ReplicaSet>("web").unwrap().metadata.generation);
        }
    });
}

#[test]
fn a_pod_that_is_held_is_replaced() {
    told(1, |cluster| {
        cluster.apply(SET);
        cluster.settle(5);
        let held = cluster.list::<Pod>()[0].metadata.name.clone().unwrap();
        cluster.patch::<Pod>(&held, json!({"metadata": {"finalizers": ["example.com/hold"]}}));
        cluster.delete::<Pod>(&held, api::Propagation::Background);
        cluster.settle(60);
        // The held pod has stopped and is replaced; it goes when its finalizer does.
        assert_eq!(n_ready(cluster.list::<Pod>(), "web"), 3);
        assert_eq!(cluster.list::<Pod>().len(), 4);
        cluster.patch::<Pod>(&held, json!({"metadata": {"finalizers": null}}));
        cluster.settle(5);
        assert_eq!(cluster.list::<Pod>().len(), 3);
    });
}
