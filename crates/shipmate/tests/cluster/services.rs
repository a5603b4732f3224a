//! Services of every type, and the names that pods find them by.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Cluster, PATIENCE, eventually, get, has, pod, shell, until, with};

#[test]
fn services_are_found_and_reached() {
    let cluster = Cluster::start("serve", 1);
    let web = |name: &str| {
        let container = json!({"name": "web", "image": "shipmate.local/web:1.0",
            "ports": [{"name": "http", "containerPort": 8080}]});
        with(pod(name, &[container]), json!({"metadata": {"labels": {"app": "web"}}}))
    };
    let member = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"hostname": "one", "subdomain": "headless"}});
    cluster.apply_all(&[
        with(web("one"), member),
        web("two"),
        pod("client", &[shell("main", "exec sleep 1000")]),
        service("web", json!({"ports": [{"name": "http", "port": 80, "targetPort": "http"}]})),
        service("headless", json!({"clusterIP": "None", "ports": [{"name": "http", "port": 8080}]})),
        service("sticky", json!({"sessionAffinity": "ClientIP", "ports": [{"port": 80, "targetPort": 8080}]})),
        service("chosen", json!({"type": "NodePort", "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30123}]})),
        service("empty", json!({"selector": {"app": "nobody"}, "ports": [{"port": 80}]})),
        service(
            "elsewhere",
            json!({"type": "ExternalName", "externalName": "web.default.svc.cluster.local", "selector": null}),
        ),
    ]);
    cluster.ready("pod/one pod/two pod/client");
    addresses(&cluster);
    names(&cluster);
    spreading(&cluster);
    affinity(&cluster);
    ports_of_the_node(&cluster);
    nobody_there(&cluster);
    without_a_selector(&cluster);
}

fn service(name: &str, spec: Value) -> Value {
    let whole = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"selector": {"app": "web"}}});
    with(whole, json!({"spec": spec}))
}

fn from_client(cluster: &Cluster, command: &str) -> String {
    let answer = cluster.answer(&format!("exec client -- {command}"));
    answer.out + &answer.err
}

fn fetch(cluster: &Cluster, url: &str) -> String {
    from_client(cluster, &format!("timeout 5 wget -q -O - {url}"))
}

fn addresses(cluster: &Cluster) {
    let ip = |pod: &str| cluster.field(&format!("pod/{pod}"), ".status.podIP");
    let slices = cluster.json("get endpointslices -l kubernetes.io/service-name=web");
    let mut found: Vec<&str> = Vec::new();
    for endpoint in slices["items"][0]["endpoints"].as_array().unwrap() {
        assert_eq!(endpoint["conditions"]["ready"], true);
        found.push(endpoint["addresses"][0].as_str().unwrap());
    }
    let wanted = BTreeSet::from([ip("one"), ip("two")]);
    assert_eq!(found.iter().map(|address| (*address).to_owned()).collect::<BTreeSet<_>>(), wanted);
    let twice = service(
        "twice",
        json!({"clusterIP": cluster.field("service/web", ".spec.clusterIP"), "ports": [{"port": 80}]}),
    );
    has(&cluster.fed("create -f -", twice.to_string()).fails(1), "provided IP is already allocated");
    let taken = service("taken", json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30123}]}));
    has(&cluster.fed("create -f -", taken.to_string()).fails(1), "provided port is already allocated");
}

fn names(cluster: &Cluster) {
    let lookup = |what: &str| from_client(cluster, &format!("nslookup {what}"));
    let address = cluster.field("service/web", ".spec.clusterIP");
    let ip = |pod: &str| cluster.field(&format!("pod/{pod}"), ".status.podIP");
    has(&lookup("web.default.svc.cluster.local"), &address);
    let headless = lookup("headless.default.svc.cluster.local");
    has(&headless, &ip("one"));
    has(&headless, &ip("two"));
    has(&lookup("one.headless.default.svc.cluster.local"), &ip("one"));
    has(&lookup("-type=srv _http._tcp.web.default.svc.cluster.local"), "80 web.default.svc.cluster.local");
    has(&lookup(&address), "web.default.svc.cluster.local");
    has(&lookup("elsewhere.default.svc.cluster.local"), "canonical name = web.default.svc.cluster.local");
    has(&lookup("none.default.svc.cluster.local"), "NXDOMAIN");
    has(&fetch(cluster, "http://elsewhere/version"), "1.0");
}

fn spreading(cluster: &Cluster) {
    let mut seen = BTreeSet::new();
    eventually("both pods", PATIENCE, || {
        seen.insert(fetch(cluster, "http://web/hostname"));
        (seen.len() == 2).then_some(())
    });
    // A pod reaches itself through its own service.
    let mut seen = BTreeSet::new();
    eventually("both pods, from one of them", PATIENCE, || {
        seen.insert(cluster.kubectl("exec one -- /bin/web get http://web/hostname"));
        (seen.len() == 2).then_some(())
    });
}

fn affinity(cluster: &Cluster) {
    let first = fetch(cluster, "http://sticky/hostname");
    for _ in 0..8 {
        assert_eq!(fetch(cluster, "http://sticky/hostname"), first);
    }
}

fn ports_of_the_node(cluster: &Cluster) {
    let ip = cluster.shipmate(&format!("ip --name {}", cluster.name)).ok();
    let url = format!("http://{}:30123", ip.trim());
    assert_eq!(get(&format!("{url}/version")).unwrap().trim(), "1.0");
    assert_eq!(fetch(cluster, &format!("{url}/version")).trim(), "1.0", "from a pod too");
    let listed = cluster.shipmate(&format!("service --name {} -o json", cluster.name)).ok();
    has(&listed, &url);
    let refused = cluster.shipmate(&format!("service --name {} web --url", cluster.name)).fails(1);
    has(&refused, "has no node port");
    cluster.kubectl(r#"patch service chosen -p '{"spec":{"type":"ClusterIP"}}'"#);
    eventually("the port is closed", PATIENCE, || get(&url).is_err().then_some(()));
}

fn nobody_there(cluster: &Cluster) {
    let refused = from_client(cluster, "wget -q -O - http://empty/");
    has(&refused, "onnection refused");
    cluster.kubectl("label pod two app=nobody --overwrite");
    let mut seen = BTreeSet::new();
    eventually("only the other pod is left", PATIENCE, || {
        seen = (0..6).map(|_| fetch(cluster, "http://web/hostname").trim().to_owned()).collect();
        (seen == BTreeSet::from(["one".to_owned()])).then_some(())
    });
    cluster.kubectl("label pod two app=web --overwrite");
}

/// Endpoints that somebody writes by hand.
fn without_a_selector(cluster: &Cluster) {
    let ip = cluster.field("pod/two", ".status.podIP");
    cluster.apply_all(&[
        service("manual", json!({"selector": null, "ports": [{"port": 80}]})),
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "manual-1", "labels": {"kubernetes.io/service-name": "manual"}},
            "endpoints": [{"addresses": [ip], "conditions": {"ready": true}}], "ports": [{"port": 8080}],
        }),
    ]);
    until("two", || fetch(cluster, "http://manual/hostname"));
}
