//! Everything that only looks: tables, formats, selectors, descriptions, discovery, permissions.

use std::fs;

use nix::sys::signal::Signal;

use crate::support::{Cluster, Row, get, has, lacks};

#[test]
fn looking_at_a_cluster() {
    let cluster = Cluster::simulated("look", 2);
    stock(&cluster);
    formats(&cluster);
    selections(&cluster);
    pages(&cluster);
    watching(&cluster);
    every_kind(&cluster);
    discovery(&cluster);
    explanations(&cluster);
    permissions(&cluster);
    differences(&cluster);
    a_proxy(&cluster);
}

/// Something of everything, in a namespace of its own.
fn stock(cluster: &Cluster) {
    cluster.kubectl("create namespace shop");
    let everything = cluster.write("everything.yaml", include_str!("manifests/everything.yaml"));
    has(&cluster.kubectl(&format!("apply -f {everything}")), "deployment.apps/web created");
    has(&cluster.kubectl("rollout status -n shop deployment/web --timeout=60s"), "successfully rolled out");
}

fn formats(cluster: &Cluster) {
    let rows = cluster.rows("get pods -n shop -l app=web");
    assert_eq!(rows[0].keys().collect::<Vec<_>>(), ["AGE", "NAME", "READY", "RESTARTS", "STATUS"]);
    assert_eq!((rows.len(), rows[0]["READY"].as_str(), rows[0]["STATUS"].as_str()), (3, "1/1", "Running"));
    let wide = &cluster.rows("get pods -n shop -l app=web -o wide")[0];
    assert!(!wide["IP"].is_empty() && wide["NODE"].starts_with(&cluster.name), "{wide:?}");
    assert_eq!(wide["NOMINATED NODE"], "<none>");
    has(&cluster.kubectl("get deploy web -n shop -o yaml"), "kind: Deployment\n");
    assert_eq!(cluster.json("get deploy web -n shop")["spec"]["replicas"], 3);
    assert_eq!(cluster.kubectl("get deploy,svc -n shop -l app=web -o name"), "deployment.apps/web\nservice/web");
    let path = "get deploy -n shop -o 'jsonpath={range .items[*]}{.metadata.name} {.spec.replicas}{\"\\n\"}{end}'";
    assert_eq!(cluster.kubectl(path), "web 3");
    let columns = cluster.kubectl("get deploy -n shop -o custom-columns=DEPLOYMENT:.metadata.name,SIZE:.spec.replicas");
    assert_eq!(columns.lines().map(str::trim_end).collect::<Vec<_>>(), ["DEPLOYMENT   SIZE", "web          3"]);
    let template = "get deploy web -n shop -o 'go-template={{.spec.replicas}}'";
    assert_eq!(cluster.kubectl(template), "3");
    has(&cluster.kubectl("get pods -n shop --show-labels"), "app=web,pod-template-hash=");
    assert_eq!(cluster.rows("get pods -n shop -L app -l app=web")[0]["APP"], "web");
    has(&cluster.kubectl("get deploy -n shop --show-kind --no-headers"), "deployment.apps/web");
    let all = cluster.kubectl("get all -n shop");
    for part in ["pod/web-", "service/web", "deployment.apps/web", "replicaset.apps/web-", "statefulset.apps/db"] {
        has(&all, part);
    }
    assert_eq!(cluster.rows("get pods -A -l app=web")[0]["NAMESPACE"], "shop");
    assert_eq!(cluster.json("get deploy web -n shop --subresource=scale")["kind"], "Scale");
    let ours = cluster.shipmate(&format!("kubectl --name {} -- get deploy -n shop -o name", cluster.name)).ok();
    assert_eq!(ours.trim(), "deployment.apps/web");

    assert_eq!(cluster.refused("get pod nope").trim(), r#"Error from server (NotFound): pods "nope" not found"#);
    assert_eq!(cluster.refused("get nope").trim(), r#"error: the server doesn't have a resource type "nope""#);
    assert_eq!(cluster.kubectl("get pod nope --ignore-not-found"), "");
    has(&cluster.answer("get pods").err, "No resources found in default namespace.");
}

fn selections(cluster: &Cluster) {
    let names = |line: &str| -> Vec<String> {
        cluster.rows(&format!("get cm -n shop {line}")).into_iter().map(|row| row["NAME"].clone()).collect()
    };
    for (name, labels) in [("a", "tier=one new="), ("b", "tier=two"), ("c", "tier=three")] {
        cluster.kubectl(&format!("create cm {name} -n shop"));
        cluster.kubectl(&format!("label cm {name} -n shop {labels} chosen=yes"));
    }
    assert_eq!(names("-l tier=one"), ["a"]);
    assert_eq!(names("-l 'tier in (one,two)'"), ["a", "b"]);
    assert_eq!(names("-l 'chosen,tier notin (one,two)'"), ["c"]);
    assert_eq!(names("-l chosen,tier!=one"), ["b", "c"]);
    assert_eq!(names("-l 'chosen,!new'"), ["b", "c"]);
    assert_eq!(names("--field-selector metadata.name=b"), ["b"]);
    assert_eq!(names("-l chosen --field-selector metadata.name!=b"), ["a", "c"]);
    assert_eq!(names("-l chosen --sort-by=.metadata.labels.tier"), ["a", "c", "b"]);

    let node = format!("{}-sim-1", cluster.name);
    let here = cluster.rows(&format!("get pods -A -o wide --field-selector spec.nodeName={node},status.phase=Running"));
    assert!(!here.is_empty() && here.iter().all(|row| row["NODE"] == node), "{here:?}");
    let events =
        cluster.kubectl("get events -n shop --field-selector involvedObject.kind=Deployment,reason=ScalingReplicaSet");
    has(&events, "Scaled up replica set web-");
    let bad = cluster.refused("get pods --field-selector spec.colour=red");
    has(&bad, r#"field label not supported: spec.colour"#);
    has(&cluster.kubectl("events -n shop --for deployment/web"), "ScalingReplicaSet");
}

fn pages(cluster: &Cluster) {
    let whole = cluster.kubectl("get cm -n shop -o name");
    assert!(whole.lines().count() >= 4, "{whole}");
    assert_eq!(cluster.kubectl("get cm -n shop -o name --chunk-size=2"), whole);
    let page = |more: &str| -> serde_json::Value {
        let raw = cluster.kubectl(&format!("get --raw /api/v1/namespaces/shop/configmaps?limit=2{more}"));
        serde_json::from_str(&raw).unwrap()
    };
    let first = page("");
    let count = whole.lines().count();
    assert_eq!(first["items"].as_array().unwrap().len(), 2);
    assert_eq!(first["metadata"]["remainingItemCount"], count - 2);
    cluster.kubectl("create cm late -n shop");
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = page(&format!("&continue={token}"));
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    lacks(&second.to_string(), r#""name":"late""#);
    let bad = cluster.refused("get --raw /api/v1/namespaces/shop/configmaps?limit=2&continue=nonsense");
    has(&bad, "continue key is not valid");
}

fn watching(cluster: &Cluster) {
    let mut pods = cluster.running("get pods -n shop -l app=web -w --output-watch-events");
    pods.until_so("three pods", |out, _| out.matches("ADDED").count() == 3);
    let mut quiet = cluster.running("get pods -n shop -l app=nothing --watch-only -o name");
    cluster.kubectl("scale deployment web -n shop --replicas=4");
    pods.until_so("a fourth pod that runs", |out, _| out.contains("MODIFIED") && out.matches("ADDED").count() == 4);
    cluster.kubectl("scale deployment web -n shop --replicas=3");
    pods.until("DELETED");
    pods.signal(Signal::SIGINT);
    cluster.kubectl("run late -n shop --image=shipmate.local/web:1.0 --labels=app=nothing");
    assert_eq!(quiet.until("pod/late").lines().next(), Some("pod/late"));
    cluster.kubectl("delete pod late -n shop --now");
}

fn every_kind(cluster: &Cluster) {
    let kinds = cluster.kubectl("api-resources --verbs=list,get -o name");
    assert!(kinds.lines().count() > 50, "{kinds}");
    let mut empty = Vec::new();
    for kind in kinds.lines() {
        let all = cluster.answer(&format!("get {kind} -A"));
        if all.err.contains("No resources found") {
            empty.push(kind);
            continue;
        }
        let rows = crate::support::table(&all.ok());
        // Events alone have no column of names.
        let named = |row: &Row| kind.starts_with("events") || !row["NAME"].is_empty();
        assert!(!rows.is_empty() && rows.iter().all(named), "{kind}: {rows:?}");
        has(&cluster.kubectl(&format!("describe {kind} -A")), "Name:");
        cluster.kubectl(&format!("get {kind} -A -o wide"));
    }
    let rare =
        ["componentstatuses", "replicationcontrollers", "podtemplates", "resource.k8s.io", "apiregistration.k8s.io"];
    let surprising: Vec<_> = empty.iter().filter(|kind| !rare.iter().any(|rare| kind.contains(rare))).collect();
    println!("there is none of {surprising:?}");
    let secret = cluster.kubectl("describe secret password -n shop");
    has(&secret, "password:  6 bytes");
    lacks(&secret, "hunter");
    let node = cluster.kubectl(&format!("describe node {}-sim-1", cluster.name));
    for part in ["Conditions:", "Ready", "Capacity:", "Allocatable:", "Non-terminated Pods:", "Allocated resources:"] {
        has(&node, part);
    }
    let web = cluster.rows("get pods -n shop -l app=web").remove(0)["NAME"].clone();
    let pod = cluster.kubectl(&format!("describe pod -n shop {web}"));
    for part in ["Successfully assigned shop/web-", "Controlled By:", "QoS Class:", "Conditions:"] {
        has(&pod, part);
    }
}

fn discovery(cluster: &Cluster) {
    let resources = cluster.rows("api-resources");
    let pods = resources.iter().find(|row| row["NAME"] == "pods").unwrap();
    assert_eq!((pods["SHORTNAMES"].as_str(), pods["APIVERSION"].as_str(), pods["KIND"].as_str()), ("po", "v1", "Pod"));
    lacks(&cluster.kubectl("api-resources --namespaced=false -o name"), "pods\n");
    let apps = cluster.kubectl("api-resources --api-group=apps -o name");
    assert_eq!(apps.lines().count(), 5, "{apps}");
    let wide = cluster.kubectl("api-resources -o wide --api-group=apps");
    has(&wide, "create,delete,deletecollection,get,list,patch,update,watch");
    let versions = cluster.kubectl("api-versions");
    let known = [
        "admissionregistration.k8s.io/v1",
        "apps/v1",
        "autoscaling/v2",
        "batch/v1",
        "certificates.k8s.io/v1",
        "coordination.k8s.io/v1",
        "discovery.k8s.io/v1",
        "events.k8s.io/v1",
        "networking.k8s.io/v1",
        "node.k8s.io/v1",
        "policy/v1",
        "rbac.authorization.k8s.io/v1",
        "scheduling.k8s.io/v1",
        "storage.k8s.io/v1",
        "v1",
    ];
    let missing: Vec<_> = known.into_iter().filter(|version| !versions.lines().any(|line| line == *version)).collect();
    // Admission webhooks are for later, and their absence is no surprise.
    assert!(missing.iter().all(|version| version.starts_with("admissionregistration")), "{missing:?}");
    has(&cluster.kubectl("version"), "Server Version: v1.37");
    has(&cluster.json("version")["serverVersion"]["gitVersion"].to_string(), "v1.37");
    has(&cluster.kubectl("cluster-info"), "is running at");
    assert_eq!(cluster.kubectl("config current-context"), cluster.name);
    assert_eq!(cluster.kubectl("get --raw /readyz"), "ok");
    has(&cluster.kubectl("get --raw /livez?verbose"), "livez check passed");
}

fn explanations(cluster: &Cluster) {
    let image = cluster.kubectl("explain pods.spec.containers.image");
    has(&image, "KIND:       Pod");
    has(&image, "FIELD: image <string>");
    has(&cluster.kubectl("explain deployment.spec"), "-required-");
    has(&cluster.kubectl("explain deployment --recursive"), "terminationGracePeriodSeconds");
    has(&cluster.kubectl("explain hpa --api-version=autoscaling/v2"), "VERSION:    v2");
    has(&cluster.refused("explain pods.spec.colour"), r#"field "colour" does not exist"#);
}

fn permissions(cluster: &Cluster) {
    assert_eq!(cluster.kubectl("auth can-i create pods"), "yes");
    assert_eq!(cluster.kubectl("auth can-i '*' '*' -A"), "yes");
    assert_eq!(cluster.answer("auth can-i create pods --as=bob").out.trim(), "no");
    cluster.kubectl("create role reader -n shop --verb=get,list,watch --resource=pods,pods/log");
    cluster.kubectl("create rolebinding bob-reads -n shop --role=reader --user=bob");
    assert_eq!(cluster.kubectl("auth can-i list pods -n shop --as=bob"), "yes");
    assert_eq!(cluster.answer("auth can-i delete pods -n shop --as=bob").out.trim(), "no");
    has(&cluster.kubectl("auth can-i --list -n shop --as=bob"), "pods/log");
    cluster.kubectl("get pods -n shop --as=bob");
    let refused = cluster.refused("delete pod x -n shop --as=bob");
    let words =
        r#"pods "x" is forbidden: User "bob" cannot delete resource "pods" in API group "" in the namespace "shop""#;
    has(&refused, &format!("Error from server (Forbidden): {words}"));
    let account = "system:serviceaccount:shop:default";
    assert_eq!(cluster.answer(&format!("auth can-i get secrets -n shop --as={account}")).out.trim(), "no");
    has(&cluster.kubectl("auth whoami"), "system:masters");
    let token = cluster.kubectl("create token default -n shop");
    let kubeconfig = fs::read_to_string(cluster.kubeconfig()).unwrap();
    let server = cluster.kubectl("config view --minify -o 'jsonpath={.clusters[0].cluster.server}'");
    has(&kubeconfig, &server);
    let empty = cluster.write("empty-kubeconfig", "");
    let whoami =
        format!("--kubeconfig={empty} --server={server} --insecure-skip-tls-verify --token={token} auth whoami");
    has(&cluster.kubectl(&whoami), account);
    let nobody = format!("--kubeconfig={empty} --server={server} --insecure-skip-tls-verify --token=wrong get pods");
    has(&cluster.refused(&nobody), "You must be logged in to the server");
}

fn differences(cluster: &Cluster) {
    let live = cluster.kubectl("get cm a -n shop -o yaml");
    let same = cluster.write("same.yaml", &live);
    assert_eq!(cluster.kubectl(&format!("diff -f {same}")), "");
    let changed = cluster.write("changed.yaml", format!("{live}\ndata:\n  colour: red\n"));
    let answer = cluster.answer(&format!("diff -f {changed}"));
    has(&answer.out, "+  colour: red");
    answer.fails(1);
}

fn a_proxy(cluster: &Cluster) {
    let mut proxy = cluster.running("proxy --port=0");
    let said = proxy.until("Starting to serve on ");
    let address = said.rsplit(' ').next().unwrap().trim().to_owned();
    has(&get(&format!("http://{address}/version")).unwrap(), r#""gitVersion""#);
    has(&get(&format!("http://{address}/api/v1/namespaces/shop/configmaps/a")).unwrap(), r#""kind":"ConfigMap""#);
    proxy.signal(Signal::SIGINT);
}
