//! Cases of cleaning: an object as a cluster has it, and what is left.

use serde_json::json;

use super::*;

fn cleaned(mut object: Value) -> Value {
    let mut removed = BTreeSet::new();
    clean(&mut object, &mut removed);
    let once = object.clone();
    clean(&mut object, &mut removed);
    assert_eq!(object, once, "cleaning what is clean changes nothing");
    object
}

#[test]
fn what_the_server_keeps_goes() {
    let object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "7", "generation": 3,
            "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{}], "labels": {},
            "annotations": {"deployment.kubernetes.io/revision": "2", "team": "a"},
            "finalizers": ["foregroundDeletion", "example.com/mine"],
        },
        "spec": {"replicas": 2, "template": {"metadata": {"creationTimestamp": null, "labels": {"a": "b"}}}},
        "status": {"replicas": 2},
    });
    assert_eq!(
        cleaned(object),
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "web", "namespace": "shop", "annotations": {"team": "a"}, "finalizers": ["example.com/mine"],
            },
            "spec": {"replicas": 2, "template": {"metadata": {"labels": {"a": "b"}}}},
        })
    );
}

#[test]
fn assigned_addresses_and_ports_go() {
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"type": "NodePort", "clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"],
            "ports": [{"port": 80, "nodePort": 30001}]},
    });
    let mut removed = BTreeSet::new();
    clean(&mut service.clone(), &mut removed);
    assert_eq!(Vec::from_iter(removed), ["spec.clusterIP", "spec.clusterIPs", "spec.ports[].nodePort"]);
    assert_eq!(cleaned(service)["spec"], json!({"type": "NodePort", "ports": [{"port": 80}]}));
}

#[test]
fn chosen_addresses_and_ports_stay() {
    let applied = json!({"spec": {"clusterIP": "10.0.0.7", "ports": [{"port": 80, "nodePort": 30001}]}});
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "web", "annotations": {LAST_APPLIED: applied.to_string()}},
        "spec": {"clusterIP": "10.0.0.7", "ports": [{"port": 80, "nodePort": 30001}, {"port": 81, "nodePort": 30002}]},
    });
    let mut once = service;
    clean(&mut once, &mut BTreeSet::new());
    assert_eq!(
        once["spec"],
        json!({"clusterIP": "10.0.0.7", "ports": [{"port": 80, "nodePort": 30001}, {"port": 81}]})
    );
    let headless = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"},
        "spec": {"clusterIP": "None", "clusterIPs": ["None"]}});
    assert_eq!(cleaned(headless.clone()), headless);
}

#[test]
fn a_volume_that_the_binder_chose_goes_and_a_static_one_stays() {
    let bound = "pv.kubernetes.io/bound-by-controller";
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "annotations": {bound: "yes", "pv.kubernetes.io/bind-completed": "yes"}},
        "spec": {"volumeName": "pv-1"}});
    let cleaned_claim = {
        let mut claim = claim;
        clean(&mut claim, &mut BTreeSet::new());
        claim
    };
    assert_eq!(cleaned_claim["spec"], json!({}));
    assert_eq!(cleaned_claim["metadata"], json!({"name": "data"}));
    let fixed = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"},
        "spec": {"volumeName": "pv-1"}});
    assert_eq!(cleaned(fixed.clone()), fixed);
    let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "pv-1"},
        "spec": {"claimRef": {"name": "data", "namespace": "shop", "uid": "u", "resourceVersion": "1"}}});
    assert_eq!(cleaned(volume)["spec"], json!({"claimRef": {"name": "data", "namespace": "shop"}}));
}

#[test]
fn a_pod_forgets_its_node_and_its_token() {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {
        "nodeName": "node-1", "priority": 0, "preemptionPolicy": "PreemptLowerPriority",
        "volumes": [{"name": "data"}, {"name": "kube-api-access-x7k2p"}],
        "containers": [{"name": "a", "volumeMounts": [{"name": "kube-api-access-x7k2p"}]}],
    }});
    assert_eq!(cleaned(pod)["spec"], json!({"volumes": [{"name": "data"}], "containers": [{"name": "a"}]}));
}

#[test]
fn a_job_can_be_created_again() {
    let labels = json!({"controller-uid": "u", "batch.kubernetes.io/job-name": "once", "app": "a"});
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"},
        "spec": {"selector": {"matchLabels": {"controller-uid": "u"}}, "template": {"metadata": {"labels": labels}}}});
    assert_eq!(cleaned(job)["spec"], json!({"template": {"metadata": {"labels": {"app": "a"}}}}));
    let manual = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"},
        "spec": {"manualSelector": true, "selector": {"matchLabels": {"a": "b"}}}});
    assert_eq!(cleaned(manual.clone()), manual);
}

#[test]
fn a_namespace_is_its_name() {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "shop", "labels": {"kubernetes.io/metadata.name": "shop"}},
        "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
    assert_eq!(cleaned(namespace), json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}));
}

#[test]
fn no_value_of_a_secret_is_left_unless_asked_for() {
    let applied = json!({"stringData": {"password": "hunter2"}});
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "db", "annotations": {LAST_APPLIED: applied.to_string()}},
        "data": {"password": "aHVudGVyMg==", "user": "bWU="}});
    let mut hidden = secret.clone();
    hide(&mut hidden, Secrets::Omit);
    assert_eq!(
        hidden,
        json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": "db", "annotations": {OMITTED: "password,user"}}})
    );
    let mut plain = secret;
    hide(&mut plain, Secrets::Plain);
    assert_eq!(plain["data"]["user"], "bWU=");
    assert!(!plain.to_string().contains("hunter2"));
}
