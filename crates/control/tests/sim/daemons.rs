//! DaemonSets: one pod on each node that should have one.

use std::collections::BTreeSet;

use api::Propagation;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Node, Pod};
use kinds::workload::pods;
use serde_json::json;

use crate::cluster::Cluster;
use crate::{active, n_ready, told};

const SET: &str = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: c, image: x}]}
";

fn places(cluster: &Cluster) -> BTreeSet<String> {
    let pods = active(cluster.list::<Pod>(), "agent");
    let places: BTreeSet<String> = pods.iter().map(|pod| pods::node_name(pod).to_owned()).collect();
    assert_eq!(places.len(), pods.len(), "a node has two");
    places
}

fn nodes(numbers: &[usize]) -> BTreeSet<String> {
    numbers.iter().map(|number| format!("c-sim-{number}")).collect()
}

fn taint(cluster: &mut Cluster, node: &str, effect: &str) {
    cluster.patch::<Node>(node, json!({"spec": {"taints": [{"key": "mine", "effect": effect}]}}));
}

#[test]
fn daemons_follow_nodes_and_taints() {
    told(3, |cluster| {
        taint(cluster, "c-sim-2", "NoSchedule");
        cluster.apply(SET);
        cluster.settle(30);
        assert_eq!(places(cluster), nodes(&[1, 3]));
        cluster.patch::<Node>("c-sim-2", json!({"spec": {"taints": null}}));
        cluster.settle(30);
        assert_eq!(places(cluster), nodes(&[1, 2, 3]));
        // `NoSchedule` leaves alone what is there, `NoExecute` does not.
        taint(cluster, "c-sim-1", "NoSchedule");
        cluster.settle(30);
        assert_eq!(places(cluster), nodes(&[1, 2, 3]));
        taint(cluster, "c-sim-1", "NoExecute");
        cluster.settle(30);
        assert_eq!(places(cluster), nodes(&[2, 3]));
        for node in control::simulated::nodes("c", 4).into_iter().skip(3) {
            cluster.create(serde_json::to_value(node).unwrap());
        }
        cluster.settle(30);
        assert_eq!(places(cluster), nodes(&[2, 3, 4]));
        cluster.delete::<Node>("c-sim-3", Propagation::Background);
        cluster.settle(30);
        assert_eq!(places(cluster), nodes(&[2, 4]));
        let status = cluster.get::<DaemonSet>("agent").unwrap().status.clone().unwrap();
        assert_eq!((status.desired_number_scheduled, status.number_ready, status.number_misscheduled), (2, 2, 0));
    });
}

fn roll(strategy: &serde_json::Value, least: usize, most: usize) {
    told(4, |cluster| {
        cluster.apply(SET);
        cluster.patch::<DaemonSet>("agent", json!({"spec": {"updateStrategy": strategy}}));
        cluster.settle(30);
        cluster.always(move |view| {
            let (ready, all) = (n_ready(view.list::<Pod>(), "agent"), active(view.list::<Pod>(), "agent").len());
            if ready >= least && all <= most { Ok(()) } else { Err(format!("{ready} ready of {all}")) }
        });
        let containers = json!([{"name": "c", "image": "y"}]);
        cluster.patch::<DaemonSet>("agent", json!({"spec": {"template": {"spec": {"containers": containers}}}}));
        cluster.settle(60);
        let pods = active(cluster.list::<Pod>(), "agent");
        assert!(pods.iter().all(|pod| pod.spec.as_ref().unwrap().containers[0].image.as_deref() == Some("y")));
        assert_eq!(places(cluster), nodes(&[1, 2, 3, 4]));
        let status = cluster.get::<DaemonSet>("agent").unwrap().status.clone().unwrap();
        assert_eq!((status.updated_number_scheduled, status.number_available), (Some(4), Some(4)));
    });
}

#[test]
fn an_update_replaces_one_after_the_other() {
    roll(&json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}), 3, 4);
}

#[test]
fn an_update_with_surge_leaves_no_gap() {
    roll(&json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}), 4, 5);
}

#[test]
fn on_delete_waits_for_deletion() {
    told(2, |cluster| {
        cluster.apply(SET);
        cluster.patch::<DaemonSet>(
            "agent",
            json!({"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": null}}}),
        );
        cluster.settle(30);
        let containers = json!([{"name": "c", "image": "y"}]);
        cluster.patch::<DaemonSet>("agent", json!({"spec": {"template": {"spec": {"containers": containers}}}}));
        cluster.settle(30);
        let new = |cluster: &Cluster| {
            let pods = active(cluster.list::<Pod>(), "agent");
            pods.iter().filter(|pod| pod.spec.as_ref().unwrap().containers[0].image.as_deref() == Some("y")).count()
        };
        assert_eq!(new(cluster), 0);
        let name = cluster.list::<Pod>()[0].metadata.name.clone().unwrap();
        cluster.delete::<Pod>(&name, Propagation::Background);
        cluster.settle(60);
        assert_eq!((new(cluster), places(cluster)), (1, nodes(&[1, 2])));
    });
}
