//! Two nodes in one cluster: networks that meet, pods that move.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Cluster, PATIENCE, eventually, get, has, pod, shell, until, with};

#[test]
fn two_nodes() {
    let cluster = Cluster::start("two", 2);
    let nodes = ["node-1", "node-2"].map(str::to_owned);
    let ready = cluster.rows("get nodes -o wide");
    assert_eq!(ready.len(), 2, "{ready:?}");
    for (row, node) in ready.iter().zip(&nodes) {
        assert_eq!((&row["NAME"], row["STATUS"].as_str()), (node, "Ready"));
        let ip = cluster.shipmate(&format!("ip --name {} {node}", cluster.name)).ok();
        assert_eq!(row["INTERNAL-IP"], ip.trim());
        has(&row["CONTAINER-RUNTIME"], "containerd://");
    }
    cluster.apply_all(&[web("left", &nodes[0]), web("right", &nodes[1]), service(), daemon_set()]);
    cluster.ready("pod/left pod/right");
    pods_reach_each_other(&cluster);
    node_ports(&cluster, &nodes);
    everywhere(&cluster);
    measured(&cluster, &nodes);
    cordoned(&cluster, &nodes);
    tainted(&cluster, &nodes);
    drained(&cluster, &nodes);
}

fn web(name: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "nodeSelector": {"kubernetes.io/hostname": node},
            "containers": [{"name": "web", "image": "shipmate.local/web:1.0"}],
        },
    })
}

fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    })
}

fn daemon_set() -> Value {
    let labels = json!({"app": "everywhere"});
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "everywhere"},
        "spec": {"selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [shell("main", "exec sleep 1000")]},
        }},
    })
}

fn pods_reach_each_other(cluster: &Cluster) {
    let ip = |pod: &str| cluster.field(&format!("pod/{pod}"), ".status.podIP");
    for (from, to) in [("left", "right"), ("right", "left"), ("left", "left")] {
        let url = format!("http://{}:8080/hostname", ip(to));
        assert_eq!(cluster.kubectl(&format!("exec {from} -- /bin/web get {url}")), to, "from {from}");
    }
    // The caller's own address is seen on the other node.
    has(&cluster.kubectl("logs right"), &format!("{} GET /hostname 200", ip("left")));
    for from in ["left", "right"] {
        let mut seen = BTreeSet::new();
        eventually("both pods behind the service", PATIENCE, || {
            seen.insert(cluster.kubectl(&format!("exec {from} -- /bin/web get http://web/hostname")));
            (seen.len() == 2).then_some(())
        });
    }
}

fn node_ports(cluster: &Cluster, nodes: &[String]) {
    let port = cluster.field("service/web", ".spec.ports[0].nodePort");
    for node in nodes {
        let ip = cluster.field(&format!("node/{node}"), ".status.addresses[?(@.type==\"InternalIP\")].address");
        let mut seen = BTreeSet::new();
        eventually("both pods behind the port of a node", PATIENCE, || {
            seen.insert(get(&format!("http://{ip}:{port}/hostname")).unwrap());
            (seen.len() == 2).then_some(())
        });
    }
}

fn everywhere(cluster: &Cluster) {
    has(&cluster.kubectl("rollout status ds/everywhere --timeout=60s"), "successfully rolled out");
    let rows = cluster.rows("get pods -l app=everywhere -o wide");
    let on: BTreeSet<&String> = rows.iter().map(|row| &row["NODE"]).collect();
    assert_eq!((rows.len(), on.len()), (2, 2));
    for row in &rows {
        assert_eq!(cluster.kubectl(&format!("exec {} -- echo here", row["NAME"])), "here");
    }
}

fn measured(cluster: &Cluster, nodes: &[String]) {
    until(&nodes[1], || {
        let answer = cluster.answer("top nodes");
        answer.out + &answer.err
    });
    until("left", || {
        let answer = cluster.answer("top pods");
        answer.out + &answer.err
    });
    let row = &cluster.rows("top pod left --containers")[0];
    assert!(row["MEMORY(bytes)"].ends_with("Mi"), "{row:?}");
    let node = cluster.kubectl(&format!("describe node {}", nodes[0]));
    for part in ["KubeletReady", "PodCIDR:", "Allocated resources:", "everywhere-"] {
        has(&node, part);
    }
}

fn cordoned(cluster: &Cluster, nodes: &[String]) {
    let [_, second] = nodes else { unreachable!("there are two") };
    assert_eq!(cluster.kubectl(&format!("cordon {second}")), format!("node/{second} cordoned"));
    assert_eq!(cluster.rows(&format!("get node {second}"))[0]["STATUS"], "Ready,SchedulingDisabled");
    cluster.kubectl("create deployment many --image=shipmate.local/web:1.0 --replicas=4");
    has(&cluster.kubectl("rollout status deployment/many --timeout=60s"), "successfully rolled out");
    let rows = cluster.rows("get pods -l app=many -o wide");
    assert!(rows.iter().all(|row| row["NODE"] == nodes[0]), "{rows:?}");
    cluster.apply(with(
        pod("insists", &[shell("main", "exec sleep 1000")]),
        json!({"spec": {"nodeSelector": {"kubernetes.io/hostname": second}}}),
    ));
    until("1 node(s) were unschedulable", || cluster.kubectl("describe pod insists"));
    assert_eq!(cluster.kubectl(&format!("uncordon {second}")), format!("node/{second} uncordoned"));
    cluster.ready("pod/insists");
    cluster.kubectl("delete pod insists --now");
}

fn tainted(cluster: &Cluster, nodes: &[String]) {
    let second = &nodes[1];
    assert_eq!(
        cluster.kubectl(&format!("taint node {second} dedicated=lab:NoSchedule")),
        format!("node/{second} tainted")
    );
    let toleration = json!({"spec": {"nodeSelector": {"kubernetes.io/hostname": second}, "tolerations": [{"key": "dedicated", "operator": "Exists"}]}});
    let on_second = json!({"spec": {"nodeSelector": {"kubernetes.io/hostname": second}}});
    cluster.apply_all(&[
        with(pod("tolerant", &[shell("main", "exec sleep 1000")]), toleration),
        with(pod("averse", &[shell("main", "exec sleep 1000")]), on_second),
    ]);
    cluster.ready("pod/tolerant");
    until("had untolerated taint", || cluster.kubectl("describe pod averse"));
    cluster.ready("pod/right");
    cluster.kubectl(&format!("taint node {second} dedicated=lab:NoExecute"));
    cluster.wait("--for=delete pod/right");
    cluster.ready("pod/tolerant");
    cluster.kubectl(&format!("taint node {second} dedicated-"));
    cluster.ready("pod/averse");
    cluster.kubectl("delete pod averse tolerant --now");
}

fn drained(cluster: &Cluster, nodes: &[String]) {
    let first = &nodes[0];
    let refused = cluster.refused(&format!("drain {first}"));
    has(&refused, "cannot delete DaemonSet-managed Pods");
    has(&refused, "declare no controller");
    let drained =
        cluster.kubectl(&format!("drain {first} --ignore-daemonsets --force --delete-emptydir-data --timeout=90s"));
    has(&drained, "evicting pod default/many-");
    has(&drained, &format!("node/{first} drained"));
    has(&cluster.kubectl("rollout status deployment/many --timeout=60s"), "successfully rolled out");
    let rows = cluster.rows("get pods -l app=many -o wide --field-selector=status.phase=Running");
    assert!(rows.iter().all(|row| row["NODE"] == nodes[1]), "{rows:?}");
    let left = cluster.rows(&format!("get pods -o wide --field-selector spec.nodeName={first}"));
    assert_eq!(left.len(), 1, "only the DaemonSet's stays: {left:?}");
    cluster.kubectl(&format!("uncordon {first}"));
}
