//! What goes when something else goes: owners, namespaces.

use api::Propagation;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use serde_json::json;

use crate::cluster::Cluster;
use crate::{n_ready, told};

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: x}]}
";

fn started(cluster: &mut Cluster) {
    cluster.apply(WEB);
    cluster.settle(30);
}

fn nothing_left(cluster: &Cluster) {
    let left = (cluster.list::<Deployment>().len(), cluster.list::<ReplicaSet>().len(), cluster.list::<Pod>().len());
    assert_eq!(left, (0, 0, 0));
}

#[test]
fn dependents_go_after_their_owner() {
    told(2, |cluster| {
        started(cluster);
        cluster.delete::<Deployment>("web", Propagation::Background);
        assert!(cluster.list::<Deployment>().is_empty());
        cluster.settle(60);
        nothing_left(cluster);
    });
}

#[test]
fn in_the_foreground_dependents_go_first() {
    told(2, |cluster| {
        started(cluster);
        cluster.always(|view| {
            let (n_owners, n_sets, n_pods) =
                (view.list::<Deployment>().count(), view.list::<ReplicaSet>().count(), view.list::<Pod>().count());
            if n_owners >= n_sets && (n_sets > 0 || n_pods == 0) {
                Ok(())
            } else {
                Err("the owner went first".to_owned())
            }
        });
        cluster.delete::<Deployment>("web", Propagation::Foreground);
        cluster.settle(60);
        nothing_left(cluster);
    });
}

#[test]
fn orphans_stay_and_are_adopted() {
    told(2, |cluster| {
        started(cluster);
        let mut before: Vec<_> = cluster.list::<Pod>().iter().map(|pod| pod.metadata.uid.clone()).collect();
        cluster.delete::<Deployment>("web", Propagation::Orphan);
        cluster.settle(60);
        assert!(cluster.list::<Deployment>().is_empty());
        assert!(cluster.list::<ReplicaSet>()[0].metadata.owner_references.is_none());
        started(cluster);
        let mut after: Vec<_> = cluster.list::<Pod>().iter().map(|pod| pod.metadata.uid.clone()).collect();
        before.sort();
        after.sort();
        assert_eq!(before, after);
        assert_eq!(cluster.list::<ReplicaSet>().len(), 1);
        cluster
            .delete::<ReplicaSet>(&cluster.list::<ReplicaSet>()[0].metadata.name.clone().unwrap(), Propagation::Orphan);
        cluster.settle(60);
        assert_eq!(n_ready(cluster.list::<Pod>(), "web"), 3);
    });
}

#[test]
fn two_owners_hold_until_both_are_gone() {
    told(1, |cluster| {
        let map = |name: &str| format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: {name}}}}}");
        cluster.apply(&map("a"));
        cluster.apply(&map("b"));
        let uid = |name: &str| cluster.get::<ConfigMap>(name).unwrap().metadata.uid.clone().unwrap();
        let owner = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid(name)});
        let owned = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "c", "ownerReferences": [owner("a"), owner("b")]}});
        cluster.create(owned.clone());
        cluster.settle(5);
        cluster.delete::<ConfigMap>("a", Propagation::Background);
        cluster.settle(5);
        assert_eq!(cluster.get::<ConfigMap>("c").unwrap().metadata.owner_references.as_ref().unwrap().len(), 1);
        cluster.delete::<ConfigMap>("b", Propagation::Background);
        cluster.settle(5);
        assert!(!cluster.holds(&owned));
    });
}

#[test]
fn a_namespace_ends_when_it_is_empty() {
    told(2, |cluster| {
        cluster.apply("{apiVersion: v1, kind: Namespace, metadata: {name: team}}");
        cluster.settle(2);
        let within = |text: &str, name: &str| {
            text.replace(&format!("{{name: {name}}}"), &format!("{{name: {name}, namespace: team}}"))
        };
        cluster.apply(&within(WEB, "web"));
        cluster.apply(
            "
apiVersion: batch/v1
kind: Job
metadata: {name: work, namespace: team}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: x}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: team}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: held, namespace: team, finalizers: [example.com/hold]}
",
        );
        cluster.settle(20);
        cluster.delete::<Namespace>("team", Propagation::Background);
        cluster.settle(90);
        let status = cluster.get::<Namespace>("team").unwrap().status.clone().unwrap();
        let remaining = status.conditions.unwrap().into_iter().find(|one| one.type_ == "NamespaceFinalizersRemaining");
        assert_eq!(remaining.unwrap().status, "True");
        let held = cluster.key::<ConfigMap>("held");
        let held = api::Key::new(held.kind, "team", "held");
        cluster.release(&held);
        cluster.settle(10);
        assert!(cluster.get::<Namespace>("team").is_none());
        assert!(cluster.list::<Pod>().is_empty());
    });
}
