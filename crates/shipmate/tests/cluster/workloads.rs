//! Controllers and the scheduler, on nodes without containers.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Cluster, PATIENCE, eventually, has, pod, shell, until, with};

#[test]
fn controllers_and_the_scheduler() {
    let cluster = Cluster::simulated("work", 3);
    stateful_set(&cluster);
    daemon_set(&cluster);
    job(&cluster);
    healing(&cluster);
    namespaces(&cluster);
    quotas(&cluster);
    placement(&cluster);
    messages(&cluster);
    preemption(&cluster);
}

fn workload(kind: &str, name: &str, spec: Value) -> Value {
    let labels = json!({"app": name});
    let container = json!({"name": "main", "image": "shipmate.local/web:1.0"});
    let template = json!({"metadata": {"labels": labels}, "spec": {"containers": [container]}});
    let whole = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    });
    with(whole, json!({"spec": spec}))
}

fn names(cluster: &Cluster, selector: &str) -> Vec<String> {
    let text = cluster.kubectl(&format!("get pods -l {selector} -o 'jsonpath={{.items[*].metadata.name}}'"));
    text.split_whitespace().map(str::to_owned).collect()
}

fn stateful_set(cluster: &Cluster) {
    let mut pods = cluster.running("get pods -l app=db -w -o name --output-watch-events");
    cluster.apply(workload("StatefulSet", "db", json!({"replicas": 3, "serviceName": "db"})));
    has(&cluster.kubectl("rollout status sts/db --timeout=60s"), "partitioned roll out complete");
    assert_eq!(names(cluster, "app=db"), ["db-0", "db-1", "db-2"]);
    let seen = pods.until("db-2");
    assert!(seen.find("db-0") < seen.find("db-1"), "{seen}");
    assert_eq!(cluster.field("pod/db-1", ".spec.hostname"), "db-1");
    let uid = cluster.field("pod/db-1", ".metadata.uid");
    cluster.kubectl("delete pod db-1");
    eventually("the pod of the same name", PATIENCE, || {
        let answer = cluster.answer("get pod db-1 -o 'jsonpath={.metadata.uid}'");
        (answer.code == 0 && answer.out != uid).then_some(())
    });
    cluster.ready("pod/db-1");
    cluster.kubectl("scale sts db --replicas=1");
    cluster.wait("--for=delete pod/db-1 pod/db-2");
    assert_eq!(names(cluster, "app=db"), ["db-0"]);
    cluster.kubectl("set image sts/db main=shipmate.local/web:2.0");
    cluster.kubectl("rollout status sts/db --timeout=60s");
    assert_eq!(cluster.field("pod/db-0", ".spec.containers[0].image"), "shipmate.local/web:2.0");
    cluster.kubectl("rollout undo sts/db");
    cluster.kubectl("rollout status sts/db --timeout=60s");
    eventually("the first image", PATIENCE, || {
        let answer = cluster.answer("get pod db-0 -o 'jsonpath={.spec.containers[0].image}'");
        (answer.out == "shipmate.local/web:1.0").then_some(())
    });
    cluster.kubectl("delete sts db --cascade=foreground");
}

fn daemon_set(cluster: &Cluster) {
    cluster.apply(workload("DaemonSet", "agent", json!({})));
    has(&cluster.kubectl("rollout status ds/agent --timeout=60s"), "successfully rolled out");
    let rows = cluster.rows("get pods -l app=agent -o wide");
    assert_eq!(rows.iter().map(|row| &row["NODE"]).collect::<BTreeSet<_>>().len(), 3);
    let node = format!("{}-sim-2", cluster.name);
    cluster.kubectl(&format!("label node {node} agent=no"));
    let affinity = json!({"spec": {"template": {"spec": {"affinity": {"nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "agent", "operator": "DoesNotExist"}]}]}}}}}}});
    cluster.kubectl(&format!("patch ds agent -p '{affinity}'"));
    cluster.kubectl("rollout status ds/agent --timeout=60s");
    eventually("two pods", PATIENCE, || (names(cluster, "app=agent").len() == 2).then_some(()));
    let row = &cluster.rows("get ds agent")[0];
    assert_eq!((row["DESIRED"].as_str(), row["READY"].as_str()), ("2", "2"));
    cluster.kubectl("delete ds agent");
}

fn job(cluster: &Cluster) {
    // A simulated pod ends when its annotation says so.
    let template = json!({
        "metadata": {"annotations": {"shipmate.dev/complete-after": "1s"}},
        "spec": {"restartPolicy": "Never", "containers": [shell("main", "true")]},
    });
    let job = |name: &str, spec: Value| {
        let whole = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": template}});
        with(whole, json!({"spec": spec}))
    };
    cluster.apply(job("thrice", json!({"completions": 3, "parallelism": 2})));
    cluster.wait("--for=condition=Complete job/thrice");
    assert_eq!(cluster.rows("get job thrice")[0]["COMPLETIONS"], "3/3");
    cluster.apply(job("numbered", json!({"completions": 2, "parallelism": 2, "completionMode": "Indexed"})));
    cluster.wait("--for=condition=Complete job/numbered");
    assert_eq!(cluster.field("job/numbered", ".status.completedIndexes"), "0,1");
    cluster.apply(job("held", json!({"suspend": true})));
    until("Suspended", || cluster.kubectl("describe job held"));
    cluster.kubectl(r#"patch job held -p '{"spec":{"suspend":false}}'"#);
    cluster.wait("--for=condition=Complete job/held");
    cluster.apply(job("fleeting", json!({"ttlSecondsAfterFinished": 1})));
    cluster.wait("--for=delete job/fleeting");
    cluster.kubectl("delete job --all");
    cluster.wait("--for=delete pod -l batch.kubernetes.io/job-name");
}

fn healing(cluster: &Cluster) {
    cluster.apply(workload("Deployment", "steady", json!({"replicas": 3})));
    cluster.wait("--for=condition=Available deployment/steady");
    let before = names(cluster, "app=steady");
    cluster.kubectl(&format!("delete pod {}", before[0]));
    eventually("a pod in its place", PATIENCE, || {
        let now = names(cluster, "app=steady");
        (now.len() == 3 && !now.contains(&before[0])).then_some(())
    });
    // A pod that loses its label is let go, and replaced.
    let lost = names(cluster, "app=steady").remove(0);
    cluster.kubectl(&format!("label pod {lost} app=free --overwrite"));
    eventually("a third pod", PATIENCE, || (names(cluster, "app=steady").len() == 3).then_some(()));
    assert_eq!(cluster.field(&format!("pod/{lost}"), ".metadata.ownerReferences"), "");
    cluster.kubectl(&format!("delete pod {lost} --now"));
    cluster.kubectl("delete deployment steady");
}

fn namespaces(cluster: &Cluster) {
    cluster.kubectl("create namespace brief");
    until("kube-root-ca.crt", || cluster.kubectl("get cm,sa -n brief"));
    until("serviceaccount/default", || cluster.kubectl("get sa -n brief -o name"));
    cluster.apply(with(
        workload("Deployment", "inside", json!({"replicas": 2})),
        json!({"metadata": {"namespace": "brief"}}),
    ));
    cluster.kubectl("create cm held -n brief");
    cluster.kubectl(r#"patch cm held -n brief -p '{"metadata":{"finalizers":["example.com/hold"]}}'"#);
    cluster.kubectl("delete namespace brief --wait=false");
    has(&cluster.kubectl("get ns brief"), "Terminating");
    let refused = cluster.refused("create cm late -n brief");
    has(&refused, "because it is being terminated");
    until("example.com/hold", || cluster.kubectl("get ns brief -o yaml"));
    cluster.kubectl(r#"patch cm held -n brief --type=merge -p '{"metadata":{"finalizers":null}}'"#);
    cluster.wait("--for=delete ns/brief");
    let forbidden = cluster.refused("delete ns default");
    has(&forbidden, r#"namespaces "default" is forbidden: this namespace may not be deleted"#);
}

fn quotas(cluster: &Cluster) {
    cluster.kubectl("create namespace tight");
    cluster.kubectl("create quota tight -n tight --hard=pods=2,requests.cpu=1");
    let asking = |name: &str, cpu: &str| {
        let resources = json!({"resources": {"requests": {"cpu": cpu}}});
        with(pod(name, &[with(shell("main", "true"), resources)]), json!({"metadata": {"namespace": "tight"}}))
    };
    cluster.apply(asking("one", "300m"));
    let refused = cluster.fed("apply -f -", asking("much", "900m").to_string()).fails(1);
    has(
        &refused,
        "exceeded quota: tight, requested: requests.cpu=900m, used: requests.cpu=300m, limited: requests.cpu=1",
    );
    cluster.apply(asking("two", "100m"));
    has(&cluster.fed("apply -f -", asking("three", "100m").to_string()).fails(1), "limited: pods=2");
    until("2", || cluster.field("quota/tight -n tight", ".status.used.pods"));
    let limits = json!({
        "apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "usual", "namespace": "tight"},
        "spec": {"limits": [{"type": "Container", "defaultRequest": {"cpu": "50m"}, "default": {"cpu": "70m"}, "max": {"cpu": "500m"}}]},
    });
    cluster.apply(limits);
    cluster.kubectl("delete pod one -n tight --now");
    eventually("room again", PATIENCE, || {
        let plain = with(pod("plain", &[shell("main", "true")]), json!({"metadata": {"namespace": "tight"}}));
        (cluster.fed("apply -f -", plain.to_string()).code == 0).then_some(())
    });
    assert_eq!(cluster.field("pod/plain -n tight", ".spec.containers[0].resources.requests.cpu"), "50m");
    cluster.kubectl("delete ns tight");
}

fn placement(cluster: &Cluster) {
    for (number, zone) in [(1, "a"), (2, "b"), (3, "b")] {
        cluster.kubectl(&format!("label node {}-sim-{number} topology.kubernetes.io/zone={zone}", cluster.name));
    }
    let apart = json!({"replicas": 3, "template": {"spec": {"affinity": {"podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "apart"}}}]}}}}});
    let spread = json!({"replicas": 4, "template": {"spec": {"topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule",
         "labelSelector": {"matchLabels": {"app": "spread"}}}]}}});
    let near = json!({"replicas": 2, "template": {"spec": {"affinity": {"podAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "topology.kubernetes.io/zone", "labelSelector": {"matchLabels": {"app": "anchor"}}}]}}}}});
    let anchor = json!({"template": {"spec": {"nodeSelector": {"topology.kubernetes.io/zone": "a"}}}});
    cluster.apply_all(&[
        workload("Deployment", "apart", apart),
        workload("Deployment", "spread", spread),
        workload("Deployment", "anchor", anchor),
        workload("Deployment", "near", near),
    ]);
    for name in ["apart", "spread", "anchor", "near"] {
        cluster.kubectl(&format!("rollout status deployment/{name} --timeout=60s"));
    }
    let nodes = |name: &str| -> Vec<String> {
        cluster.rows(&format!("get pods -l app={name} -o wide")).into_iter().map(|row| row["NODE"].clone()).collect()
    };
    assert_eq!(nodes("apart").into_iter().collect::<BTreeSet<_>>().len(), 3);
    let first = format!("{}-sim-1", cluster.name);
    assert_eq!(nodes("spread").iter().filter(|node| **node == first).count(), 2);
    assert!(nodes("near").iter().all(|node| *node == first));
    cluster.kubectl("scale deployment apart --replicas=4");
    until("3 node(s) didn't match pod anti-affinity rules", || {
        cluster.kubectl("get events --field-selector reason=FailedScheduling")
    });
    cluster.kubectl("delete deployment apart spread anchor near");
}

fn messages(cluster: &Cluster) {
    let main = || shell("main", "true");
    let asking = |resources: Value| with(main(), json!({"resources": {"requests": resources}}));
    let port = with(main(), json!({"ports": [{"containerPort": 80, "hostPort": 80}]}));
    let pinned = json!({"spec": {"nodeSelector": {"kubernetes.io/hostname": format!("{}-sim-1", cluster.name)}}});
    cluster.apply_all(&[
        pod("greedy", &[asking(json!({"cpu": "9999"}))]),
        pod("fat", &[asking(json!({"memory": "9999Ti"}))]),
        with(pod("picky", &[main()]), json!({"spec": {"nodeSelector": {"colour": "red"}}})),
        with(pod("port-1", std::slice::from_ref(&port)), pinned.clone()),
        with(
            pod("claims", &[main()]),
            json!({"spec": {"volumes": [{"name": "disk", "persistentVolumeClaim": {"claimName": "none"}}]}}),
        ),
    ]);
    let says = |name: &str, words: &str| {
        let events = until("FailedScheduling", || cluster.kubectl(&format!("describe pod {name}")));
        has(&events, words);
    };
    says("greedy", "0/3 nodes are available: 3 Insufficient cpu.");
    says("fat", "0/3 nodes are available: 3 Insufficient memory.");
    says("picky", "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.");
    cluster.ready("pod/port-1");
    cluster.apply(with(pod("port-2", &[port]), pinned));
    says("port-2", "1 node(s) didn't have free ports for the requested pod ports");
    let condition = cluster.field("pod/greedy", ".status.conditions[?(@.type==\"PodScheduled\")].reason");
    assert_eq!(condition, "Unschedulable");
    assert_eq!(cluster.rows("get pod greedy")[0]["STATUS"], "Pending");
    cluster.kubectl("delete pod greedy fat picky port-1 port-2 --now");
}

fn preemption(cluster: &Cluster) {
    let node = format!("{}-sim-1", cluster.name);
    let cpu: u32 = cluster.field(&format!("node/{node}"), ".status.allocatable.cpu").parse().unwrap();
    let class = |name: &str, value: u32| json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value});
    let filling = |name: &str, class: &str| {
        let container = with(shell("main", "true"), json!({"resources": {"requests": {"cpu": cpu}}}));
        let spec = json!({"spec": {"priorityClassName": class, "nodeSelector": {"kubernetes.io/hostname": node}}});
        with(pod(name, &[container]), spec)
    };
    cluster.apply_all(&[class("low", 10), class("high", 1000), filling("modest", "low")]);
    cluster.ready("pod/modest");
    assert_eq!(cluster.field("pod/modest", ".spec.priority"), "10");
    cluster.apply(filling("important", "high"));
    cluster.wait("--for=delete pod/modest");
    cluster.ready("pod/important");
    has(&cluster.kubectl("get events --field-selector reason=Preempted"), "Preempted by pod");
    cluster.apply(filling("modest", "low"));
    until("No preemption victims found for incoming pod", || cluster.kubectl("describe pod modest"));
    cluster.kubectl("delete pod modest important --now");
}
