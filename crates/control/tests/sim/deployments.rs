//! Deployments: rollouts and their bounds, undo, pause, `Recreate`, scaling.

use std::collections::BTreeSet;

use api::View;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::Pod;
use kinds::workload::meta::Meta as _;
use serde_json::json;

use crate::cluster::Cluster;
use crate::{active, n_ready, told};

fn deployment(replicas: usize, strategy: &str) -> String {
    format!(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  strategy: {strategy}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: c, image: 'one'}}]}}
"
    )
}

const ROLLING: &str = "{type: RollingUpdate, rollingUpdate: {maxSurge: 3, maxUnavailable: 2}}";

fn image(cluster: &mut Cluster, image: &str) {
    let containers = json!([{"name": "c", "image": image}]);
    cluster.patch::<Deployment>("web", json!({"spec": {"template": {"spec": {"containers": containers}}}}));
}

fn images(cluster: &Cluster) -> BTreeSet<String> {
    let pods = active(cluster.list::<Pod>(), "web");
    pods.iter().map(|pod| pod.spec.as_ref().unwrap().containers[0].image.clone().unwrap()).collect()
}

fn only(cluster: &Cluster, image: &str, count: usize) {
    assert_eq!(images(cluster), BTreeSet::from([image.to_owned()]));
    assert_eq!(n_ready(cluster.list::<Pod>(), "web"), count);
    let status = cluster.get::<Deployment>("web").unwrap().status.clone().unwrap();
    let wanted = i32::try_from(count).ok();
    assert_eq!((status.replicas, status.updated_replicas, status.available_replicas), (wanted, wanted, wanted));
    assert_eq!(status.observed_generation, cluster.get::<Deployment>("web").unwrap().metadata.generation);
}

fn bounded(least: usize, most: usize) -> impl Fn(&View) -> Result<(), String> {
    move |view| {
        let (ready, all) = (n_ready(view.list::<Pod>(), "web"), active(view.list::<Pod>(), "web").len());
        let asked: i32 = view.list::<ReplicaSet>().filter_map(|set| set.spec.replicas).sum();
        if ready < least || all > most || usize::try_from(asked).unwrap() > most {
            return Err(format!("{ready} ready, {all} active, {asked} asked for; allowed are {least} to {most}"));
        }
        Ok(())
    }
}

fn revision(cluster: &Cluster) -> Option<String> {
    let deployment = cluster.get::<Deployment>("web").unwrap();
    deployment.annotation("deployment.kubernetes.io/revision").map(str::to_owned)
}

#[test]
fn a_rollout_keeps_its_bounds_and_can_be_undone() {
    told(4, |cluster| {
        cluster.apply(&deployment(10, ROLLING));
        cluster.settle(60);
        only(cluster, "one", 10);
        assert_eq!(revision(cluster).as_deref(), Some("1"));
        cluster.always(bounded(8, 13));
        image(cluster, "two");
        cluster.settle(60);
        only(cluster, "two", 10);
        assert_eq!(revision(cluster).as_deref(), Some("2"));
        image(cluster, "one");
        cluster.settle(60);
        only(cluster, "one", 10);
        assert_eq!((cluster.list::<ReplicaSet>().len(), revision(cluster).as_deref()), (2, Some("3")));
        let set = cluster.list::<ReplicaSet>().into_iter().find(|set| set.spec.replicas == Some(10)).unwrap();
        assert_eq!(set.annotation("deployment.kubernetes.io/revision-history"), Some("1"));
    });
}

#[test]
fn a_rollout_in_the_middle_of_another_keeps_the_bounds() {
    told(4, |cluster| {
        cluster.apply(&deployment(10, ROLLING));
        cluster.settle(60);
        cluster.always(bounded(8, 13));
        image(cluster, "two");
        cluster.step(60);
        image(cluster, "three");
        cluster.step(40);
        image(cluster, "two");
        cluster.settle(60);
        only(cluster, "two", 10);
    });
}

#[test]
fn one_pod_is_replaced_without_surge_or_without_gap() {
    for (strategy, least, most) in [
        ("{type: RollingUpdate, rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}", 2, 3),
        ("{type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}", 3, 4),
    ] {
        told(3, |cluster| {
            cluster.apply(&deployment(3, strategy));
            cluster.settle(60);
            cluster.always(bounded(least, most));
            image(cluster, "two");
            cluster.settle(60);
            only(cluster, "two", 3);
        });
    }
}

#[test]
fn a_paused_deployment_waits_and_goes_on() {
    told(3, |cluster| {
        cluster.apply(&deployment(4, ROLLING));
        cluster.settle(30);
        cluster.patch::<Deployment>("web", json!({"spec": {"paused": true}}));
        image(cluster, "two");
        cluster.settle(30);
        assert_eq!(images(cluster), BTreeSet::from(["one".to_owned()]));
        cluster.patch::<Deployment>("web", json!({"spec": {"replicas": 6}}));
        cluster.settle(30);
        assert_eq!(n_ready(cluster.list::<Pod>(), "web"), 6);
        cluster.patch::<Deployment>("web", json!({"spec": {"paused": null}}));
        cluster.settle(30);
        only(cluster, "two", 6);
    });
}

#[test]
fn recreate_never_mixes_templates() {
    told(3, |cluster| {
        cluster.apply(&deployment(4, "{type: Recreate}"));
        cluster.settle(30);
        cluster.always(|view| {
            let running: BTreeSet<_> = view.list::<Pod>().map(|pod| pod.label("pod-template-hash")).collect();
            if running.len() < 2 { Ok(()) } else { Err(format!("pods of {running:?}")) }
        });
        image(cluster, "two");
        cluster.settle(60);
        only(cluster, "two", 4);
    });
}

#[test]
fn scaling_during_a_rollout_comes_to_the_right_number() {
    told(4, |cluster| {
        cluster.apply(&deployment(6, ROLLING));
        cluster.settle(30);
        image(cluster, "two");
        cluster.step(50);
        cluster.patch::<Deployment>("web", json!({"spec": {"replicas": 12}}));
        cluster.step(50);
        cluster.patch::<Deployment>("web", json!({"spec": {"replicas": 3}}));
        cluster.settle(60);
        only(cluster, "two", 3);
        cluster.patch::<Deployment>("web", json!({"spec": {"replicas": 0}}));
        cluster.settle(60);
        assert!(cluster.list::<Pod>().is_empty());
    });
}

#[test]
fn a_rollout_that_does_not_get_on_says_so() {
    told(0, |cluster| {
        cluster.apply(&deployment(2, ROLLING));
        cluster.patch::<Deployment>("web", json!({"spec": {"progressDeadlineSeconds": 30}}));
        cluster.settle(60);
        let status = cluster.get::<Deployment>("web").unwrap().status.clone().unwrap();
        let progress = status.conditions.unwrap().into_iter().find(|one| one.type_.as_deref() == Some("Progressing"));
        assert_eq!(progress.unwrap().reason.as_deref(), Some("ProgressDeadlineExceeded"));
    });
}
