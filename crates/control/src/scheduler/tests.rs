//! Cases: nodes and placed pods given, a pod to place, and the node or the message that comes out.

use std::sync::Arc;

use api::{Object, View};
use serde_json::{Value, json};

use super::attempt::Attempt;
use super::nodes::{Nodes, Placed};
use super::preempt;

fn object(view: &View, mut value: Value) -> Arc<Object> {
    let kind = value["kind"].as_str().unwrap().to_owned();
    let name = value["metadata"]["name"].as_str().unwrap().to_owned();
    value["metadata"]["uid"] = json!(name);
    let group = if kind == "PodDisruptionBudget" { "policy" } else { "" };
    Arc::new(Object::seal(view.catalogue().by_kind(group, &kind).unwrap(), value, 1))
}

fn node(name: &str, more: Value) -> Value {
    let mut node = json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "status": {"allocatable": {"cpu": "2", "memory": "4Gi", "pods": "10"}},
    });
    json_merge(&mut node, more);
    node
}

fn pod(name: &str, on: &str, more: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "x"}]},
    });
    if !on.is_empty() {
        pod["spec"]["nodeName"] = json!(on);
    }
    json_merge(&mut pod, more);
    pod
}

fn json_merge(target: &mut Value, more: Value) {
    match (target, more) {
        (Value::Object(target), Value::Object(more)) => {
            for (key, value) in more {
                json_merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, more) => *target = more,
    }
}

fn cpu(request: &str) -> Value {
    json!({"spec": {"containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpu": request}}}]}})
}

fn with_priority(mut more: Value, priority: i32) -> Value {
    more["spec"]["priority"] = json!(priority);
    more
}

/// The node that the pod gets, or what people are told.
fn outcome(given: Vec<Value>, wanted: Value) -> String {
    let mut view = View::empty(Arc::new(kinds::catalogue()));
    for value in given {
        let object = object(&view, value);
        view.insert(object);
    }
    let nodes = Nodes::of(&view);
    let placed = Placed::new(object(&view, wanted)).unwrap();
    match Attempt::new(&placed, &nodes, &view).decide() {
        Ok(node) => node,
        Err(unfit) if unfit.rejections.is_empty() => unfit.message(),
        Err(unfit) => match preempt::find(&placed, &nodes, &view, &unfit) {
            Ok(found) => {
                let victims = found.victims.iter().map(|victim| victim.object.header.key.name.to_string());
                format!("preempts {} on {}", victims.collect::<Vec<_>>().join(", "), found.node)
            }
            Err(why) => format!("{} preemption: {why}", unfit.message()),
        },
    }
}

#[test]
fn a_pod_goes_where_it_may_and_fits() {
    let near = json!({"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}]}});
    let far = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
        {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}]}});
    let spread = json!([{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}}}]);
    let port = json!({"spec": {"containers": [{"name": "c", "image": "x", "ports": [{"containerPort": 80, "hostPort": 80}]}]}});
    let two = || vec![node("a", json!({})), node("b", json!({}))];
    let with = |mut given: Vec<Value>, more: Vec<Value>| {
        given.extend(more);
        given
    };
    let cases = [
        ("the emptier node", with(two(), vec![pod("p", "a", cpu("1"))]), pod("x", "", cpu("1")), "b"),
        ("the only one with room", with(two(), vec![pod("p", "a", cpu("1500m"))]), pod("x", "", cpu("1")), "b"),
        (
            "a selected label",
            with(two(), vec![node("c", json!({"metadata": {"labels": {"disk": "ssd"}}}))]),
            pod("x", "", json!({"spec": {"nodeSelector": {"disk": "ssd"}}})),
            "c",
        ),
        (
            "near its like",
            with(two(), vec![pod("p", "b", json!({}))]),
            pod("x", "", json!({"spec": {"affinity": near}})),
            "b",
        ),
        (
            "far from its like",
            with(two(), vec![pod("p", "b", json!({}))]),
            pod("x", "", json!({"spec": {"affinity": far}})),
            "a",
        ),
        (
            "away from one that repels",
            with(two(), vec![pod("p", "b", json!({"spec": {"affinity": far}}))]),
            pod("x", "", json!({})),
            "a",
        ),
        (
            "evenly spread",
            with(two(), vec![pod("p", "a", json!({}))]),
            pod("x", "", json!({"spec": {"topologySpreadConstraints": spread}})),
            "b",
        ),
        ("a free port", with(two(), vec![pod("p", "a", port.clone())]), pod("x", "", port), "b"),
        (
            "not cordoned",
            vec![node("a", json!({"spec": {"unschedulable": true}})), node("b", json!({}))],
            pod("x", "", json!({})),
            "b",
        ),
        (
            "a finished pod takes no room",
            with(
                vec![node("a", json!({}))],
                vec![pod("p", "a", {
                    let mut done = cpu("2");
                    done["status"] = json!({"phase": "Succeeded"});
                    done
                })],
            ),
            pod("x", "", cpu("2")),
            "a",
        ),
    ];
    for (what, given, wanted, expected) in cases {
        assert_eq!(outcome(given, wanted), expected, "{what}");
    }
}

#[test]
fn a_pod_that_does_not_fit_says_why_for_each_node() {
    let taint = json!({"spec": {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}});
    let cases = [
        (vec![], json!({}), "no nodes available to schedule pods"),
        (
            vec![node("a", json!({})), node("b", taint.clone()), node("c", taint)],
            cpu("3"),
            "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {k: v}. preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
        ),
        (
            vec![node("a", json!({})), pod("p", "a", cpu("2"))],
            cpu("1"),
            "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.",
        ),
        (
            vec![node("a", json!({"spec": {"unschedulable": true}}))],
            json!({"spec": {"nodeSelector": {"x": "y"}}}),
            "0/1 nodes are available: 1 node(s) were unschedulable. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
        ),
    ];
    for (given, more, expected) in cases {
        assert_eq!(outcome(given, pod("x", "", more)), expected);
    }
}

#[test]
fn an_important_pod_takes_the_place_of_the_least_important() {
    let given = || {
        vec![
            node("a", json!({})),
            node("b", json!({})),
            pod("low", "a", with_priority(cpu("1500m"), 1)),
            pod("small", "a", with_priority(cpu("100m"), 0)),
            pod("middle", "b", with_priority(cpu("1500m"), 5)),
        ]
    };
    let wanted = pod("x", "", with_priority(cpu("1500m"), 10));
    assert_eq!(outcome(given(), wanted), "preempts low on a");
    let polite = {
        let mut more = with_priority(cpu("1500m"), 10);
        more["spec"]["preemptionPolicy"] = json!("Never");
        pod("x", "", more)
    };
    assert!(outcome(given(), polite).ends_with("preemption: not eligible due to preemptionPolicy=Never."));
    // Nothing may go from the app that `low` is of, so `middle` goes although it is more important.
    let mut protected = given();
    protected[2]["metadata"]["labels"]["app"] = json!("db");
    protected.push(json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "db", "namespace": "default"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "db"}}}, "status": {"disruptionsAllowed": 0},
    }));
    let wanted = pod("x", "", with_priority(cpu("1500m"), 10));
    assert_eq!(outcome(protected, wanted), "preempts middle on b");
}
