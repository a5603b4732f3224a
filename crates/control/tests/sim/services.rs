//! Endpoints that follow pods, and budgets that count them.

use std::collections::BTreeSet;

use api::Subresource;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kinds::workload::pods;
use serde_json::json;

use crate::cluster::Cluster;
use crate::{active, told};

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: x, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 3, selector: {matchLabels: {app: web}}}
";

fn serving(cluster: &Cluster) -> BTreeSet<String> {
    let slices = cluster.list::<EndpointSlice>();
    let endpoints = slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
    let ready =
        endpoints.filter(|one| one.conditions.as_ref().is_some_and(|conditions| conditions.ready == Some(true)));
    ready.flat_map(|one| one.addresses.clone()).collect()
}

fn pod_ips(cluster: &Cluster) -> BTreeSet<String> {
    let pods = active(cluster.list::<Pod>(), "web").into_iter().filter(|pod| pods::ready(pod));
    pods.map(|pod| pod.status.clone().unwrap().pod_ip.unwrap()).collect()
}

fn allowed(cluster: &Cluster) -> Option<i32> {
    cluster.get::<PodDisruptionBudget>("web").unwrap().status.clone().unwrap().disruptions_allowed
}

#[test]
fn endpoints_follow_readiness() {
    told(3, |cluster| {
        cluster.apply(WEB);
        cluster.settle(30);
        assert_eq!((serving(cluster).len(), allowed(cluster)), (4, Some(1)));
        assert_eq!(serving(cluster), pod_ips(cluster));
        let slice = cluster.list::<EndpointSlice>()[0].clone();
        assert_eq!(slice.ports.unwrap()[0].port, Some(8080));
        // A pod that nobody plays any more is not ready.
        let name = cluster.list::<Pod>()[0].metadata.name.clone().unwrap();
        let node = pods::node_name(cluster.get::<Pod>(&name).unwrap()).to_owned();
        let silent = json!({"metadata": {"annotations": {"shipmate.dev/simulated": null}}});
        cluster.patch::<k8s_openapi::api::core::v1::Node>(&node, silent);
        let conditions = json!([{"type": "Ready", "status": "False"}]);
        cluster.patch_part::<Pod>(&name, Subresource::Status, json!({"status": {"conditions": conditions}}));
        cluster.settle(10);
        assert_eq!((serving(cluster).len(), allowed(cluster)), (3, Some(0)));
        let endpoints = cluster.get::<Endpoints>("web").unwrap().subsets.clone().unwrap();
        assert_eq!(endpoints[0].not_ready_addresses.as_ref().map(Vec::len), Some(1));
        cluster.patch::<Deployment>("web", json!({"spec": {"replicas": 0}}));
        cluster.settle(100);
        assert!(serving(cluster).is_empty());
    });
}

#[test]
fn what_a_service_had_goes_with_it() {
    told(2, |cluster| {
        cluster.apply(WEB);
        cluster.settle(30);
        cluster.delete::<Service>("web", api::Propagation::Background);
        cluster.settle(10);
        assert!(cluster.list::<EndpointSlice>().is_empty() && cluster.list::<Endpoints>().is_empty());
    });
}
