//! Nodes that stop answering.

use api::Propagation;
use k8s_openapi::api::core::v1::{Node, Pod};
use kinds::placement::taints;
use kinds::workload::meta::Meta as _;
use kinds::workload::pods;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::{active, n_ready, told};

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 6
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: x}]}
";

fn on(cluster: &Cluster, node: &str) -> usize {
    active(cluster.list::<Pod>(), "web").into_iter().filter(|pod| pods::node_name(pod) == node).count()
}

/// Nobody plays the node any more.
fn lose(cluster: &mut Cluster, node: &str) {
    cluster.patch::<Node>(node, json!({"metadata": {"annotations": {"shipmate.dev/simulated": null}}}));
}

fn effects(cluster: &Cluster, node: &str) -> Vec<String> {
    taints::of(cluster.get::<Node>(node).unwrap()).iter().map(|taint| taint.effect.clone()).collect()
}

#[test]
fn pods_of_a_lost_node_are_replaced_after_their_time() {
    told(3, |cluster| {
        cluster.apply(WEB);
        cluster.settle(30);
        let n_lost = on(cluster, "c-sim-1");
        lose(cluster, "c-sim-1");
        cluster.settle(100);
        assert_eq!(effects(cluster, "c-sim-1"), ["NoExecute", "NoSchedule"]);
        assert_eq!((on(cluster, "c-sim-1"), n_ready(cluster.list::<Pod>(), "web")), (n_lost, 6 - n_lost));
        cluster.settle(300);
        assert_eq!((on(cluster, "c-sim-1"), n_ready(cluster.list::<Pod>(), "web")), (0, 6));
        assert_eq!(cluster.list::<Pod>().len(), 6 + n_lost);
        cluster.delete::<Node>("c-sim-1", Propagation::Background);
        cluster.settle(30);
        assert_eq!(cluster.list::<Pod>().len(), 6);
    });
}

#[test]
fn a_node_that_comes_back_keeps_its_pods() {
    told(3, |cluster| {
        cluster.apply(WEB);
        cluster.settle(30);
        let before = on(cluster, "c-sim-1");
        lose(cluster, "c-sim-1");
        cluster.settle(100);
        cluster.patch::<Node>("c-sim-1", json!({"metadata": {"annotations": {"shipmate.dev/simulated": "true"}}}));
        cluster.settle(30);
        assert_eq!(effects(cluster, "c-sim-1"), Vec::<String>::new());
        assert_eq!((on(cluster, "c-sim-1"), n_ready(cluster.list::<Pod>(), "web")), (before, 6));
        cluster.settle(400);
        assert_eq!(on(cluster, "c-sim-1"), before);
    });
}

#[test]
fn a_cordoned_node_gets_nothing_new() {
    told(2, |cluster| {
        cluster.patch::<Node>("c-sim-1", json!({"spec": {"unschedulable": true}}));
        cluster.settle(5);
        cluster.apply(WEB);
        cluster.settle(30);
        assert_eq!((on(cluster, "c-sim-1"), on(cluster, "c-sim-2")), (0, 6));
        cluster.patch::<Node>("c-sim-1", json!({"spec": {"unschedulable": Value::Null}}));
        cluster.settle(5);
        assert!(taints::of(cluster.get::<Node>("c-sim-1").unwrap()).is_empty());
    });
}

#[test]
fn a_pod_with_a_short_toleration_goes_early() {
    told(2, |cluster| {
        cluster.apply(
            "
apiVersion: v1
kind: Pod
metadata: {name: short, labels: {app: short}}
spec:
  containers: [{name: c, image: x}]
  tolerations: [{key: mine, operator: Exists, effect: NoExecute, tolerationSeconds: 20}]",
        );
        cluster.settle(5);
        let node = pods::node_name(cluster.get::<Pod>("short").unwrap()).to_owned();
        let now = cluster.server.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        cluster.patch::<Node>(
            &node,
            json!({"spec": {"taints": [{"key": "mine", "effect": "NoExecute", "timeAdded": now}]}}),
        );
        cluster.settle(10);
        assert!(!cluster.get::<Pod>("short").unwrap().deleting());
        cluster.settle(60);
        assert!(cluster.get::<Pod>("short").is_none());
    });
}
