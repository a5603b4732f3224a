//! StatefulSets: order, updates, partitions, claims.

use api::View;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kinds::workload::meta::Meta as _;
use kinds::workload::pods;
use serde_json::json;

use crate::cluster::Cluster;
use crate::told;

fn set(more: &str) -> String {
    format!(
        "
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db}}
spec:
  replicas: 4
  serviceName: db
  selector: {{matchLabels: {{app: db}}}}
  {more}
  template:
    metadata: {{labels: {{app: db}}}}
    spec: {{containers: [{{name: c, image: 'one'}}]}}
"
    )
}

fn ordinal(pod: &Pod) -> usize {
    pod.name().rsplit('-').next().unwrap().parse().unwrap()
}

/// Numbers without gaps, and all but the last one ready.
fn in_order(view: &View) -> Result<(), String> {
    let mut pods: Vec<&Pod> = view.list().collect();
    pods.sort_by_key(|pod| ordinal(pod));
    let gapless = pods.iter().enumerate().all(|(nth, pod)| ordinal(pod) == nth);
    let waits = pods.iter().rev().skip(1).any(|pod| !pods::ready(pod));
    if gapless && !waits { Ok(()) } else { Err(format!("pods are {:?}", names(&pods))) }
}

fn names(pods: &[&Pod]) -> Vec<(String, bool)> {
    pods.iter().map(|pod| (pod.name().to_owned(), pods::ready(pod))).collect()
}

fn images(cluster: &Cluster) -> Vec<String> {
    let mut pods = cluster.list::<Pod>();
    pods.sort_by_key(|pod| ordinal(pod));
    assert!(pods.iter().all(|pod| pods::ready(pod)));
    pods.iter().map(|pod| pod.spec.as_ref().unwrap().containers[0].image.clone().unwrap()).collect()
}

fn image(cluster: &mut Cluster, image: &str) {
    let containers = json!([{"name": "c", "image": image}]);
    cluster.patch::<StatefulSet>("db", json!({"spec": {"template": {"spec": {"containers": containers}}}}));
}

#[test]
fn pods_come_and_go_in_order() {
    told(3, |cluster| {
        cluster.always(in_order);
        cluster.apply(&set(""));
        cluster.settle(60);
        assert_eq!(images(cluster).len(), 4);
        for size in [2, 5, 0, 3] {
            cluster.patch::<StatefulSet>("db", json!({"spec": {"replicas": size}}));
            cluster.settle(60);
            assert_eq!(images(cluster).len(), size);
        }
        let status = cluster.get::<StatefulSet>("db").unwrap().status.clone().unwrap();
        assert_eq!((status.replicas, status.ready_replicas, status.available_replicas), (3, Some(3), Some(3)));
    });
}

#[test]
fn an_update_goes_down_to_the_partition() {
    told(3, |cluster| {
        cluster.apply(&set("updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 2}}"));
        cluster.settle(60);
        cluster.always(|view| {
            let ready = view.list::<Pod>().filter(|pod| pods::ready(pod) && !pod.deleting()).count();
            if ready >= 3 { Ok(()) } else { Err(format!("{ready} ready")) }
        });
        image(cluster, "two");
        cluster.settle(60);
        assert_eq!(images(cluster), ["one", "one", "two", "two"]);
        // A pod below the partition comes back as it was.
        cluster.delete::<Pod>("db-0", api::Propagation::Background);
        cluster.settle(60);
        assert_eq!(images(cluster), ["one", "one", "two", "two"]);
        let status = cluster.get::<StatefulSet>("db").unwrap().status.clone().unwrap();
        assert_ne!(status.current_revision, status.update_revision);
        cluster.patch::<StatefulSet>("db", json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}}));
        cluster.settle(60);
        assert_eq!(images(cluster), ["two", "two", "two", "two"]);
        let status = cluster.get::<StatefulSet>("db").unwrap().status.clone().unwrap();
        assert_eq!(status.current_revision, status.update_revision);
        assert_eq!((status.current_replicas, status.updated_replicas), (Some(4), Some(4)));
        image(cluster, "one");
        cluster.settle(60);
        assert_eq!(images(cluster), ["one", "one", "one", "one"]);
    });
}

#[test]
fn parallel_pods_do_not_wait() {
    told(0, |cluster| {
        cluster.apply(&set("podManagementPolicy: Parallel"));
        cluster.settle(30);
        assert_eq!(cluster.list::<Pod>().len(), 4);
    });
}

#[test]
fn claims_outlive_pods() {
    let claims = "volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]";
    told(2, |cluster| {
        cluster.apply(&set(claims));
        cluster.settle(60);
        cluster.patch::<StatefulSet>("db", json!({"spec": {"replicas": 1}}));
        cluster.settle(60);
        let claims: Vec<&str> = cluster.list::<PersistentVolumeClaim>().iter().map(|claim| claim.name()).collect();
        assert_eq!(claims, ["data-db-0", "data-db-1", "data-db-2", "data-db-3"]);
    });
}
