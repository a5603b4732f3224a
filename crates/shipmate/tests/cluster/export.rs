//! The cluster as files: exported twice, changed, compared, with few rights; deleted and brought back.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::support::{Cluster, Place, has, lacks};

pub const SECRET: &str = "hunter2-is-nobodys-business";
/// The same as the API has it.
pub const ENCODED: &str = "aHVudGVyMi1pcy1ub2JvZHlzLWJ1c2luZXNz";

#[test]
fn a_cluster_becomes_files() {
    let cluster = Cluster::simulated("exp", 2);
    let everything = cluster.write("everything.yaml", include_str!("manifests/everything.yaml"));
    cluster.kubectl("create namespace shop");
    cluster.kubectl(&format!("apply -f {everything}"));
    cluster.kubectl(&format!("create secret generic quiet -n shop --from-literal=password={SECRET}"));
    let secret = format!(
        "{{apiVersion: v1, kind: Secret, metadata: {{name: told, namespace: shop}}, stringData: {{password: {SECRET}}}}}"
    );
    cluster.apply(&secret);
    cluster.apply(
        "{apiVersion: v1, kind: Secret, type: helm.sh/release.v1, metadata: {name: sh.helm.release.v1.blog.v1, namespace: \
         shop, labels: {owner: helm, name: blog}}, data: {release: aHVudGVyMi1pcy1ub2JvZHlzLWJ1c2luZXNz}}",
    );
    cluster.kubectl("create clusterrole system:of-ours --verb=get --resource=pods");
    cluster.kubectl("rollout status -n shop deployment/web --timeout=60s");
    let first = exported(&cluster, "");
    clean_and_complete(&first);
    let again = exported(&cluster, "");
    assert!(first == again, "an unchanged cluster gives the same bytes");
    no_drift_and_drift(&cluster);
    layouts_and_parts(&cluster);
    few_rights(&cluster);
    not_over_what_is_no_export(&cluster);
}

#[test]
fn what_was_deleted_comes_back() {
    let cluster = Cluster::simulated("res", 2);
    let everything = cluster.write("everything.yaml", include_str!("manifests/everything.yaml"));
    cluster.kubectl("create namespace shop");
    cluster.kubectl(&format!("apply -f {everything}"));
    cluster.kubectl(&format!("create secret generic quiet -n shop --from-literal=password={SECRET}"));
    cluster.apply(WIDGETS);
    cluster.apply_all(&by_hand());
    cluster.ready("-n shop pod/bare");
    cluster.kubectl("rollout status -n shop deployment/web --timeout=60s");
    let before = exported(&cluster, "--secrets plain");
    file(&before, "_cluster/customresourcedefinition/widgets.example.com.yaml");
    lacks(file(&before, "shop/pod/bare.yaml"), "kube-api-access");
    lacks(file(&before, "shop/pod/bare.yaml"), "nodeName");
    has(file(&before, "shop/persistentvolumeclaim/fixed.yaml"), "volumeName: fixed");
    has(file(&before, "shop/service/chosen.yaml"), "nodePort: 31999");
    let restore = format!("restore {} --yes", dir(&cluster).display());
    has(&cluster.shipmate(&restore).fails(0), "0 to create, 0 to change");
    delete_all(&cluster);
    let plan = cluster.shipmate(&format!("{restore} --dry-run")).ok();
    let at = |what: &str| plan.find(what).unwrap_or_else(|| panic!("{what} is not in {plan}"));
    assert!(at("+ _cluster/customresourcedefinition/widgets.example.com") < at("+ _cluster/namespace/shop"), "{plan}");
    assert!(at("+ _cluster/namespace/shop") < at("+ shop/secret/quiet"), "{plan}");
    assert!(at("+ shop/secret/quiet") < at("+ shop/deployment/web"), "{plan}");
    has(&cluster.refused("get namespace shop"), "NotFound");
    cluster.shipmate(&restore).ok();
    cluster.kubectl("rollout status -n shop deployment/web --timeout=60s");
    let after = exported(&cluster, "--secrets plain");
    for (path, text) in &before {
        assert_eq!(after.get(path), Some(text), "{}", path.display());
    }
    assert_eq!(before.len(), after.len(), "{:?}", after.keys());
    has(&cluster.shipmate(&restore).fails(0), "0 to create, 0 to change");
    defaults_are_no_differences(&cluster, &restore);
    what_was_changed_is_changed_back(&cluster, &restore);
    a_copy_lives_beside_it(&cluster);
    without_values(&cluster, &restore);
}

/// Another namespace in the same cluster: what can be there once only is assigned anew, what all share is left alone.
fn a_copy_lives_beside_it(cluster: &Cluster) {
    exported(cluster, "--secrets plain");
    let copy = format!("restore {} --into shop=copy --class storage/slow=swift --yes", dir(cluster).display());
    let plan = cluster.shipmate(&format!("{copy} --dry-run")).ok();
    has(&plan, "+ copy/deployment/web");
    has(&plan, "node port 31999 is shop/chosen's: it gets another one");
    has(&plan, "there is no StorageClass swift here: make it, or use another with --class storage/swift=NAME");
    has(&plan, "data.address mentions the old namespace");
    lacks(&plan, "~ _cluster/");
    cluster.shipmate(&copy).ok();
    cluster.kubectl("rollout status -n copy deployment/web --timeout=60s");
    assert_ne!(cluster.field("-n copy service/chosen", ".spec.ports[0].nodePort"), "31999");
    assert_eq!(cluster.field("-n shop service/chosen", ".spec.ports[0].nodePort"), "31999");
    assert_eq!(cluster.field("-n copy rolebinding/worker-looks", ".subjects[0].namespace"), "copy");
    let nothing = cluster.shipmate(&format!("restore {} -n nowhere --dry-run", dir(cluster).display())).fails(1);
    has(&nothing, "namespace nowhere is not in the files");
    cluster.kubectl("delete namespace copy");
}

const WIDGETS: &str = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: \
    widgets.example.com}, spec: {group: example.com, scope: Namespaced, names: {kind: Widget, plural: widgets}, versions: \
    [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, \
    properties: {size: {type: integer}}}}}}}]}}";

/// A pod that nobody owns, a claim on a volume of one's choice, a port of one's choice.
fn by_hand() -> Vec<Value> {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "namespace": "shop"},
        "spec": {"containers": [{"name": "bare", "image": "shipmate.local/web:1.0"}]}});
    let size = json!({"storage": "1Gi"});
    let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "fixed"}, "spec": {
        "capacity": size, "accessModes": ["ReadWriteMany"], "hostPath": {"path": "/tmp/fixed"},
        "claimRef": {"name": "fixed", "namespace": "shop"}, "persistentVolumeReclaimPolicy": "Retain"}});
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "fixed", "namespace": "shop"}, "spec": {"volumeName": "fixed", "storageClassName": "",
        "accessModes": ["ReadWriteMany"], "resources": {"requests": size}}});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "chosen", "namespace": "shop"},
        "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 31999}], "selector": {"app": "web"}}});
    let slow = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "slow", "namespace": "shop"},
        "spec": {"storageClassName": "slow", "accessModes": ["ReadWriteOnce"], "resources": {"requests": size}}});
    let address = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "address", "namespace": "shop"},
        "data": {"address": "db.shop.svc.cluster.local"}});
    vec![pod, volume, claim, service, slow, address]
}

fn delete_all(cluster: &Cluster) {
    cluster.kubectl("delete crd widgets.example.com");
    cluster.kubectl("delete namespace shop");
    cluster.kubectl("delete pv shop-disk fixed");
    for object in ["storageclass slow", "ingressclass none", "priorityclass important", "runtimeclass runc"] {
        cluster.kubectl(&format!("delete {object}"));
    }
}

/// A file may say or leave out what the server does by itself.
fn defaults_are_no_differences(cluster: &Cluster, restore: &str) {
    let path = dir(cluster).join("shop/deployment/web.yaml");
    let full = fs::read_to_string(&path).unwrap();
    let more = full.replace("spec:\n  replicas: 3\n", "spec:\n  replicas: 3\n  revisionHistoryLimit: 10\n");
    assert!(more.len() > full.len(), "{full}");
    fs::write(&path, &more).unwrap();
    assert_eq!(cluster.shipmate(&format!("diff {}", dir(cluster).display())).ok(), "");
    has(&cluster.shipmate(restore).fails(0), "0 to create, 0 to change");
    fs::write(&path, full.replace("replicas: 3", "replicas: many")).unwrap();
    let plan = cluster.shipmate(&format!("{restore} --dry-run")).ok();
    has(&plan, "the server would refuse this: ");
    fs::write(&path, full).unwrap();
}

/// Also in a service, whose node ports stay.
fn what_was_changed_is_changed_back(cluster: &Cluster, restore: &str) {
    let port = cluster.field("-n shop service/web", ".spec.ports[0].nodePort");
    cluster.kubectl("patch service web -n shop --type json -p '[{\"op\":\"replace\",\"path\":\"/spec/ports/0/targetPort\",\"value\":9}]'");
    cluster.kubectl("scale -n shop deployment/web --replicas=1");
    let answer = cluster.shipmate(restore);
    assert_eq!(answer.code, 0, "{answer}");
    has(&answer.out, "spec.replicas: 1 -> 3");
    has(&answer.out, "spec.ports[port=80].targetPort: 9 -> 80");
    assert_eq!(cluster.field("-n shop service/web", ".spec.ports[0].nodePort"), port);
    undone(cluster, &answer.err, restore);
    assert_eq!(cluster.shipmate(&format!("diff {}", dir(cluster).display())).ok(), "");
}

/// A restore is undone by its receipt, and made again.
fn undone(cluster: &Cluster, said: &str, restore: &str) {
    let id = said.split("receipt ").nth(1).unwrap().split(':').next().unwrap();
    cluster.kubectl("delete configmap settings -n shop");
    let created = cluster.shipmate(restore).fails(0);
    let second = created.split("receipt ").nth(1).unwrap().split(':').next().unwrap();
    cluster.shipmate(&format!("doctor undo {second} --yes")).ok();
    has(&cluster.refused("get configmap settings -n shop"), "NotFound");
    cluster.shipmate(&format!("doctor undo {id} --yes")).ok();
    assert_eq!(cluster.field("-n shop deployment/web", ".spec.replicas"), "1");
    has(&cluster.shipmate(restore).fails(0), "1 to create, 2 to change");
}

/// Secrets that were exported without their values are left alone, or named.
fn without_values(cluster: &Cluster, restore: &str) {
    exported(cluster, "");
    has(&cluster.shipmate(restore).fails(0), "0 to create, 0 to change, 0 can't");
    assert_eq!(cluster.field("-n shop secret/quiet", ".data.password"), ENCODED);
    cluster.kubectl("delete secret quiet -n shop");
    let answer = cluster.shipmate(restore);
    assert_eq!(answer.code, 4, "{answer}");
    has(&answer.out, "! shop/secret/quiet: its values are not in the files");
}

/// An API that never answers, and an interrupt: nothing is in the directory, and nothing beside it.
#[test]
fn an_interrupted_export_leaves_nothing() {
    let place = Place::new("int");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let config = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: a\n  cluster: {{server: \"http://{address}\"}}\n\
         contexts:\n- name: a\n  context: {{cluster: a, user: a}}\nusers:\n- name: a\n  user: {{}}\n"
    );
    let config = place.write("config", config);
    fs::create_dir(place.dir().join("below")).unwrap();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let running = place.spawn(&format!("export below/export --kubeconfig {config}"));
        // It has asked: its files are begun.
        let _held = silent.accept().unwrap();
        running.signal(signal);
        has(&running.finish().fails(1), "the directory is as it was");
        assert_eq!(fs::read_dir(place.dir().join("below")).unwrap().count(), 0);
    }
}

/// Files by their paths.
pub type Files = BTreeMap<PathBuf, String>;

fn exported(cluster: &Cluster, options: &str) -> Files {
    cluster.shipmate(&format!("export {} {options}", dir(cluster).display())).ok();
    files(&dir(cluster))
}

pub fn dir(cluster: &Cluster) -> PathBuf {
    cluster.dir().join("export")
}

pub fn files(directory: &Path) -> Files {
    let mut found = Files::new();
    let mut left = vec![directory.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                left.extend(Some(path).filter(|path| !path.ends_with(".git")));
            } else {
                let text = fs::read_to_string(&path).unwrap();
                found.insert(path.strip_prefix(directory).unwrap().to_owned(), text);
            }
        }
    }
    found
}

#[track_caller]
pub fn file<'a>(files: &'a Files, path: &str) -> &'a str {
    files.get(Path::new(path)).unwrap_or_else(|| panic!("{path} is not among {:#?}", files.keys()))
}

fn clean_and_complete(files: &Files) {
    let web = file(files, "shop/deployment/web.yaml");
    has(web, "replicas: 3");
    for gone in [
        "status:",
        "uid:",
        "resourceVersion",
        "managedFields",
        "creationTimestamp",
        "last-applied",
        "kubernetes.io/revision",
        "terminationMessagePath",
        "imagePullPolicy",
        "revisionHistoryLimit",
        "strategy",
    ] {
        lacks(web, gone);
    }
    lacks(file(files, "shop/service/web.yaml"), "clusterIP:");
    lacks(file(files, "shop/service/web.yaml"), "nodePort:");
    has(file(files, "shop/service/db.yaml"), "clusterIP: None");
    has(file(files, "_cluster/clusterrole/system%3Aof-ours.yaml"), "name: system:of-ours");
    has(file(files, "shop/secret/quiet.yaml"), "omitted-values: password");
    for (path, text) in files {
        let shown = path.display().to_string();
        for owned in
            ["/replicaset/", "/pod/", "/event/", "/endpointslice/", "/lease/", "kube-root-ca.crt", "_cluster/node/"]
        {
            lacks(&shown, owned);
        }
        for secret in [SECRET, ENCODED] {
            assert!(!text.contains(secret), "{shown} holds a secret");
        }
    }
    let index: Value = serde_json::from_str(file(files, "_export.json")).unwrap();
    assert_eq!(index["failed"].as_array().unwrap().len(), 0, "{index:#}");
    has(&index["kindsLeftOut"].to_string(), "heartbeat");
    assert!(index["helm"]["shop/blog"].is_object(), "{index:#}");
    has(&index["objectsLeftOut"]["secrets"].to_string(), "shop/sh.helm.release.v1.blog.v1");
    has(&index["secretsWithoutValues"].to_string(), "shop/told");
    has(&index["fieldsLeftOut"]["services"].to_string(), "spec.ports[].nodePort");
    has(&index["defaultsLeftOut"]["services"].to_string(), "spec.sessionAffinity");
    assert_eq!(index["defaultsKept"], json!({}), "{index:#}");
}

fn no_drift_and_drift(cluster: &Cluster) {
    let line = format!("diff {}", dir(cluster).display());
    assert_eq!(cluster.shipmate(&line).ok(), "");
    cluster.kubectl("scale -n shop deployment/web --replicas=5");
    cluster.kubectl("create configmap extra -n shop --from-literal=a=b");
    cluster.kubectl("delete service -n shop elsewhere");
    cluster.kubectl(&format!("patch secret quiet -n shop --type merge -p '{{\"data\":{{\"other\":\"{ENCODED}\"}}}}'"));
    let drift = cluster.shipmate(&line);
    assert_eq!(drift.code, 1, "{drift}");
    for told in [
        "+ shop/configmap/extra",
        "- shop/service/elsewhere",
        "~ shop/deployment/web",
        "spec.replicas: 3 -> 5",
        "~ shop/secret/quiet",
    ] {
        has(&drift.out, told);
    }
    lacks(&drift.out, ENCODED);
    let json = cluster.shipmate(&format!("{line} -o json"));
    assert_eq!(json.code, 1, "{json}");
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["missing"][0]["name"], "elsewhere", "{json:#}");
    assert_eq!(json["changed"].as_array().unwrap().len(), 2, "{json:#}");
    cluster.shipmate(&format!("{line} --html drift.html"));
    let page = fs::read_to_string(cluster.dir().join("drift.html")).unwrap();
    has(&page, "<td>spec.replicas</td><td class=\"old\">3</td><td class=\"new\">5</td>");
    lacks(&page, ENCODED);
}

fn layouts_and_parts(cluster: &Cluster) {
    let flat = exported(cluster, "--layout flat -n shop --kinds deploy,cm");
    file(&flat, "shop/deployment_web.yaml");
    file(&flat, "shop/configmap_extra.yaml");
    assert!(!flat.keys().any(|path| path.starts_with("_cluster")), "{:?}", flat.keys());
    let plain = exported(cluster, "--secrets plain --kinds secrets");
    has(file(&plain, "shop/secret/quiet.yaml"), ENCODED);
    let raw = exported(cluster, "--raw --kinds pods,secrets -n shop");
    assert!(raw.values().any(|text| text.contains("kind: Pod\n") && text.contains("status:")), "{:?}", raw.keys());
    for text in raw.values() {
        lacks(text, ENCODED);
        lacks(text, SECRET);
    }
    has(&cluster.shipmate("export e2 -n no-such").fails(1), "there is no namespace no-such");
    has(&cluster.shipmate("export e2 --kinds nothings").fails(1), "no kind nothings");
    assert!(!cluster.dir().join("e2").exists());
}

/// Who may not read a kind learns which; its files from an earlier export stay.
fn few_rights(cluster: &Cluster) {
    exported(cluster, "");
    cluster.kubectl("create serviceaccount viewer");
    cluster.kubectl("create clusterrole views --verb=get,list --resource=configmaps,namespaces");
    cluster.kubectl("create clusterrolebinding views --clusterrole=views --serviceaccount=default:viewer");
    let token = cluster.kubectl("create token viewer");
    cluster.kubectl("config set-credentials few --token few");
    let config = fs::read_to_string(cluster.kubeconfig()).unwrap().replace("token: few", &format!("token: {token}"));
    let config = cluster.write("few.kubeconfig", config);
    cluster.kubectl(&format!("--kubeconfig {config} config set-context --current --user few"));
    let answer = cluster.shipmate(&format!("export {} --kubeconfig {config}", dir(cluster).display()));
    assert_eq!(answer.code, 4, "{answer}");
    has(&answer.err, "not read: secrets: secrets is forbidden");
    lacks(&answer.err, "not read: configmaps");
    let files = files(&dir(cluster));
    file(&files, "shop/secret/quiet.yaml");
    file(&files, "shop/configmap/extra.yaml");
    // Who may read and not write can't ask what defaults are, and is not told that they are missing.
    exported(cluster, "");
    cluster.kubectl("create clusterrolebinding sees --clusterrole=view --serviceaccount=default:viewer");
    cluster.kubectl("scale -n shop deployment/web --replicas=7");
    let line = format!("diff {} --kubeconfig {config}", dir(cluster).display());
    let drift = cluster.shipmate(&line);
    assert_eq!(drift.code, 1, "{drift}");
    has(&drift.out, "spec.replicas: 5 -> 7");
    lacks(&drift.out, "revisionHistoryLimit");
    has(&drift.err, "compared only by the fields in their files");
}

fn not_over_what_is_no_export(cluster: &Cluster) {
    let other = cluster.write("other/README.md", "mine");
    has(&cluster.shipmate("export other").fails(1), "is no export");
    assert_eq!(fs::read_to_string(other).unwrap(), "mine");
    has(&cluster.shipmate("diff other").fails(2), "is no export");
}
