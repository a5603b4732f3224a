//! Everything that changes objects, and every way in which a change is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::support::{Cluster, PATIENCE, Running, eventually, has, lacks, pod, shell, tool, until, with, words};

#[test]
fn changing_objects() {
    let cluster = Cluster::simulated("write", 2);
    creation(&cluster);
    editing(&cluster);
    labels_and_annotations(&cluster);
    patches(&cluster);
    replacement(&cluster);
    applying(&cluster);
    applying_on_the_servers_side(&cluster);
    refusals(&cluster);
    shortcuts(&cluster);
    deletion(&cluster);
    waiting(&cluster);
}

fn creation(cluster: &Cluster) {
    assert_eq!(cluster.kubectl("create cm plain --from-literal=a=1 --from-literal=b=2"), "configmap/plain created");
    assert_eq!(
        cluster.refused("create cm plain"),
        "error: failed to create configmap: configmaps \"plain\" already exists\n"
    );
    let generated = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "made-"}}).to_string();
    let names: Vec<String> = (0..2).map(|_| cluster.fed("create -f - -o name", &generated).ok()).collect();
    assert!(names[0] != names[1] && names.iter().all(|name| name.starts_with("configmap/made-")), "{names:?}");

    let dry = cluster.kubectl("create deployment dry --image=shipmate.local/web:1.0 --dry-run=server -o yaml");
    has(&dry, "revisionHistoryLimit: 10");
    has(&dry, "uid: ");
    has(&cluster.refused("get deployment dry"), "not found");
    has(&cluster.kubectl("create deployment dry --image=x --dry-run=client -o yaml"), "kind: Deployment");
    has(&cluster.kubectl("create secret generic password --from-literal=word=hunter"), "secret/password created");
    assert_eq!(cluster.field("secret/password", ".data.word"), "aHVudGVy");
    has(&cluster.kubectl("create token default --duration=10m"), "ey");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "two"}},
    ]});
    assert_eq!(cluster.fed("create -f -", list.to_string()).ok(), "configmap/one created\nconfigmap/two created\n");
}

fn editing(cluster: &Cluster) {
    let edit = |script: &str| {
        let editor = cluster.write("editor.sh", format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(&editor, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = cluster.command(tool("kubectl"));
        command.args(words("edit cm plain")).env("KUBE_EDITOR", editor);
        Running::start(command).finish()
    };
    assert_eq!(edit("sed -i 's/a: \"1\"/a: \"9\"/' $1").ok(), "configmap/plain edited\n");
    assert_eq!(cluster.field("cm/plain", ".data.a"), "9");
    has(&edit("true").err, "Edit cancelled, no changes made.");
    // The server says no: the file is kept, and the editor, which changes nothing more, is told why.
    let refused = edit("sed -i 's/^data:/data: 7\\nother:/' $1");
    assert!(refused.code != 0, "{refused}");
    assert_eq!(cluster.field("cm/plain", ".data.a"), "9");
}

fn labels_and_annotations(cluster: &Cluster) {
    assert_eq!(cluster.kubectl("label cm plain tier=one"), "configmap/plain labeled");
    has(&cluster.refused("label cm plain tier=two"), "already has a value (one), and --overwrite is false");
    assert_eq!(cluster.kubectl("label cm plain tier=two --overwrite"), "configmap/plain labeled");
    assert_eq!(cluster.kubectl("get cm -l tier=two -o name"), "configmap/plain");
    assert_eq!(cluster.kubectl("label cm plain tier-"), "configmap/plain unlabeled");
    assert_eq!(cluster.kubectl("get cm -l tier -o name"), "");
    has(&cluster.refused("label cm plain 'tier=not good'"), "valid label must be");
    assert_eq!(cluster.kubectl("annotate cm plain note='some words'"), "configmap/plain annotated");
    assert_eq!(cluster.field("cm/plain", ".metadata.annotations.note"), "some words");
    assert_eq!(cluster.kubectl("label cm --all seen=yes").lines().last().unwrap(), "configmap/two labeled");
}

fn patches(cluster: &Cluster) {
    cluster.kubectl("create deployment web --image=shipmate.local/web:1.0 --replicas=2");
    let patch = |line: &str| cluster.kubectl(&format!("patch deployment web {line}"));
    let strategic =
        r#"-p '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"shipmate.local/web:1.0"}]}}}}'"#;
    assert_eq!(patch(strategic), "deployment.apps/web patched");
    assert_eq!(cluster.field("deployment/web", ".spec.template.spec.containers[*].name"), "side web");
    let deletion = r#"-p '{"spec":{"template":{"spec":{"containers":[{"name":"side","$patch":"delete"}]}}}}'"#;
    patch(deletion);
    assert_eq!(cluster.field("deployment/web", ".spec.template.spec.containers[*].name"), "web");
    patch(r#"--type=merge -p '{"metadata":{"labels":{"a":"1","app":null}},"spec":{"replicas":1}}'"#);
    assert_eq!(cluster.field("deployment/web", ".metadata.labels"), r#"{"a":"1"}"#);
    patch(
        r#"--type=json -p '[{"op":"test","path":"/spec/replicas","value":1},{"op":"replace","path":"/spec/replicas","value":2}]'"#,
    );
    assert_eq!(cluster.field("deployment/web", ".spec.replicas"), "2");
    let failed = r#"patch deployment web --type=json -p '[{"op":"test","path":"/spec/replicas","value":7}]'"#;
    has(
        &cluster.refused(failed),
        "The request is invalid: the server rejected our request due to an error in our request",
    );
    let bad = r#"patch deployment web --type=json -p '[{"op":"remove","path":"/spec/nothing"}]'"#;
    has(&cluster.refused(bad), "the server rejected our request due to an error in our request");
    patch(r#"--subresource=scale --type=merge -p '{"spec":{"replicas":3}}'"#);
    assert_eq!(cluster.field("deployment/web", ".spec.replicas"), "3");
    assert_eq!(patch(r#"-p '{"spec":{"replicas":3}}'"#), "deployment.apps/web patched (no change)");
    let status = r#"--subresource=status --type=merge -p '{"status":{"replicas":3},"spec":{"replicas":9}}'"#;
    patch(status);
    assert_eq!(cluster.field("deployment/web", ".spec.replicas"), "3");
}

fn replacement(cluster: &Cluster) {
    let old = cluster.kubectl("get cm plain -o yaml");
    let new = old.replace("b: \"2\"", "b: \"3\"");
    assert_eq!(cluster.fed("replace -f -", &new).ok(), "configmap/plain replaced\n");
    assert_eq!(cluster.field("cm/plain", ".data.b"), "3");
    let conflict = cluster.fed("replace -f -", &old).fails(1);
    has(&conflict, "the object has been modified; please apply your changes to the latest version and try again");
    let uid = cluster.field("cm/plain", ".metadata.uid");
    let free: String =
        new.lines().filter(|line| !line.contains("resourceVersion")).map(|line| format!("{line}\n")).collect();
    has(&cluster.fed("replace --force -f -", free.replace(&format!("uid: {uid}"), "labels: {}")).ok(), "replaced");
    assert_ne!(cluster.field("cm/plain", ".metadata.uid"), uid);
}

fn applying(cluster: &Cluster) {
    let manifest = |data: serde_json::Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": data});
    assert_eq!(cluster.apply(manifest(json!({"a": "1", "b": "1"}))), "configmap/applied created");
    assert_eq!(cluster.apply(manifest(json!({"a": "1", "b": "1"}))), "configmap/applied unchanged");
    cluster.kubectl(r#"patch cm applied --type=merge -p '{"data":{"theirs":"1"}}'"#);
    assert_eq!(cluster.apply(manifest(json!({"a": "2"}))), "configmap/applied configured");
    assert_eq!(cluster.field("cm/applied", ".data"), r#"{"a":"2","theirs":"1"}"#);
    has(&cluster.kubectl("apply view-last-applied cm/applied"), "a: \"2\"");
    let dry = cluster.fed("apply --dry-run=server -f -", manifest(json!({"a": "3"})).to_string()).ok();
    assert_eq!(dry, "configmap/applied configured (server dry run)\n");
    assert_eq!(cluster.field("cm/applied", ".data.a"), "2");
    let unknown = with(pod("typo", &[shell("main", "true")]), json!({"spec": {"restartPolice": "Never"}}));
    let refused = cluster.fed("apply -f -", unknown.to_string()).fails(1);
    has(&refused, r#"strict decoding error: unknown field "spec.restartPolice""#);
    let loose = cluster.fed("apply --validate=warn -f -", unknown.to_string());
    has(&loose.err, r#"Warning: unknown field "spec.restartPolice""#);
    loose.ok();
    cluster.kubectl("delete pod typo --now");
}

fn applying_on_the_servers_side(cluster: &Cluster) {
    let manifest = |data: serde_json::Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"}, "data": data});
    let apply =
        |options: &str, data| cluster.fed(&format!("apply --server-side {options} -f -"), manifest(data).to_string());
    has(&apply("", json!({"a": "1", "b": "1"})).ok(), "configmap/shared serverside-applied");
    let refused = apply("--field-manager other", json!({"a": "2"})).fails(1);
    has(&refused, "Apply failed with 1 conflict: conflict with \"kubectl\" using v1: .data.a");
    has(&refused, "--force-conflicts");
    apply("--field-manager other --force-conflicts", json!({"a": "2"})).ok();
    apply("--dry-run=server", json!({"b": "1"})).ok();
    apply("", json!({})).ok();
    assert_eq!(cluster.field("cm/shared", ".data"), r#"{"a":"2"}"#);
    has(&cluster.kubectl("get cm shared -o yaml --show-managed-fields"), "manager: other");
    // What was applied on the client's side goes over, with what is no longer in the manifest.
    let before = manifest(json!({"a": "1", "gone": "1"})).to_string().replace("shared", "moved");
    cluster.fed("apply -f -", before).ok();
    let after = manifest(json!({"a": "2"})).to_string().replace("shared", "moved");
    cluster.fed("apply --server-side -f -", after.clone()).ok();
    cluster.fed("apply --server-side -f -", after).ok();
    assert_eq!(cluster.field("cm/moved", ".data"), r#"{"a":"2"}"#);
}

fn refusals(cluster: &Cluster) {
    let refused = |manifest: serde_json::Value| cluster.fed("create -f -", manifest.to_string()).fails(1);
    let empty = refused(pod("empty", &[]));
    has(&empty, r#"The Pod "empty" is invalid: spec.containers: Required value"#);
    let twice = refused(pod("twice", &[shell("main", "true"), shell("main", "true")]));
    has(&twice, r#"spec.containers[1].name: Duplicate value: "main""#);
    let named = refused(pod("Bad_Name", &[shell("main", "true")]));
    has(&named, r#"metadata.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain must consist of"#);
    let several = refused(with(
        pod("several", &[shell("main", "true")]),
        json!({"spec": {"restartPolicy": "Sometimes", "dnsPolicy": "Never"}}),
    ));
    has(&several, r#"Unsupported value: "Sometimes""#);
    has(&several, "* spec.dnsPolicy");
    let typed = refused(with(pod("typed", &[shell("main", "true")]), json!({"spec": {"hostNetwork": "yes"}})));
    has(&typed, "hostNetwork");
    let stray = refused(with(pod("stray", &[shell("main", "true")]), json!({"metadata": {"namespace": "nowhere"}})));
    has(&stray, r#"(NotFound): error when creating "STDIN": namespaces "nowhere" not found"#);

    let selector = r#"patch deployment web --type=merge -p '{"spec":{"selector":{"matchLabels":{"app":"other"}}}}'"#;
    has(&cluster.refused(selector), "selector");
    cluster.kubectl("run fixed --image=shipmate.local/web:1.0");
    let container =
        r#"patch pod fixed --type=json -p '[{"op":"replace","path":"/spec/containers/0/name","value":"x"}]'"#;
    has(&cluster.refused(container), "pod updates may not change fields other than");
    has(&cluster.kubectl("set image pod/fixed fixed=shipmate.local/web:2.0"), "image updated");
    cluster.kubectl("create quota small --hard=pods=0 --dry-run=server");
    cluster.kubectl("create cm sealed --from-literal=a=1");
    cluster.kubectl(r#"patch cm sealed -p '{"immutable":true}'"#);
    has(&cluster.refused(r#"patch cm sealed -p '{"data":{"a":"2"}}'"#), "field is immutable when `immutable` is set");
}

fn shortcuts(cluster: &Cluster) {
    has(&cluster.kubectl("set env deployment/web COLOUR=blue"), "env updated");
    has(&cluster.kubectl("set env deployment/web --list"), "COLOUR=blue");
    has(
        &cluster.kubectl("set resources deployment/web --requests=cpu=10m --limits=memory=64Mi"),
        "resource requirements updated",
    );
    cluster.kubectl("create sa worker");
    has(&cluster.kubectl("set serviceaccount deployment/web worker"), "serviceaccount updated");
    has(&cluster.kubectl("autoscale deployment web --min=1 --max=4"), "autoscaled");
    has(&cluster.kubectl("rollout status deployment/web --timeout=60s"), "successfully rolled out");
    cluster.kubectl("create service clusterip spot --tcp=80:8080");
    assert!(cluster.field("service/spot", ".spec.clusterIP").starts_with("10.96."));
    cluster.kubectl("create job once --image=shipmate.local/web:1.0 -- /bin/web sleep 1");
    cluster.kubectl("create cronjob nightly --image=shipmate.local/web:1.0 --schedule='0 3 * * *' -- /bin/web sleep 1");
    cluster.kubectl("create ingress web --rule=web.example.com/=web:80");
    cluster.kubectl("create priorityclass urgent --value=1000");
    cluster.kubectl("create pdb web --selector=app=web --min-available=1");
    cluster.kubectl("delete pdb/web ingress/web cronjob/nightly job/once hpa/web priorityclass/urgent");
}

fn deletion(cluster: &Cluster) {
    has(&cluster.kubectl("delete cm one"), r#"configmap "one" deleted"#);
    has(&cluster.refused("delete cm one"), r#"configmaps "one" not found"#);
    assert_eq!(cluster.kubectl("delete cm one --ignore-not-found"), "");
    has(&cluster.kubectl("delete cm two --dry-run=server"), "(server dry run)");
    has(&cluster.kubectl("delete cm -l seen=yes"), r#""two" deleted"#);

    let family = |name: &str| {
        cluster.kubectl(&format!("create deployment {name} --image=shipmate.local/web:1.0 --replicas=2"));
        has(&cluster.kubectl(&format!("rollout status deployment/{name} --timeout=60s")), "successfully");
    };
    family("orphaned");
    cluster.kubectl("delete deployment orphaned --cascade=orphan");
    let set = cluster.json("get rs -l app=orphaned")["items"][0].clone();
    eventually("an orphan", PATIENCE, || {
        (cluster.json("get rs -l app=orphaned")["items"][0]["metadata"]["ownerReferences"].is_null()).then_some(())
    });
    assert_eq!(cluster.rows("get pods -l app=orphaned").len(), 2);
    cluster.kubectl(&format!("delete rs {} --cascade=foreground", set["metadata"]["name"].as_str().unwrap()));
    assert_eq!(cluster.kubectl("get pods -l app=orphaned -o name"), "", "foreground deletion waits for the pods");

    family("background");
    cluster.kubectl("delete deployment background");
    cluster.wait("--for=delete rs -l app=background");
    cluster.wait("--for=delete pod -l app=background");
    family("foreground");
    cluster.kubectl("delete deployment foreground --cascade=foreground");
    assert_eq!(cluster.kubectl("get rs,pods -l app=foreground -o name"), "");

    cluster.kubectl("create cm held");
    cluster.kubectl(r#"patch cm held -p '{"metadata":{"finalizers":["example.com/hold"]}}'"#);
    cluster.kubectl("delete cm held --wait=false");
    assert_ne!(cluster.field("cm/held", ".metadata.deletionTimestamp"), "");
    has(
        &cluster.refused(r#"patch cm held -p '{"metadata":{"finalizers":["example.com/other"]}}'"#),
        "no new finalizers can be added",
    );
    cluster.kubectl(r#"patch cm held --type=merge -p '{"metadata":{"finalizers":null}}'"#);
    has(&cluster.refused("get cm held"), "not found");
    // Nobody has seen it yet: nobody has to confirm its end.
    cluster.apply(with(pod("unbound", &[shell("main", "true")]), json!({"spec": {"schedulerName": "nobody"}})));
    cluster.kubectl("delete pod unbound");
    cluster.kubectl("delete pod fixed --grace-period=0 --force");
}

fn waiting(cluster: &Cluster) {
    let mut created = cluster.running("wait --for=create cm/awaited --timeout=60s");
    cluster.kubectl("create cm awaited --from-literal=state=new");
    created.until("condition met");
    let changed = cluster.running("wait --for=jsonpath={.data.state}=old cm/awaited --timeout=60s");
    cluster.kubectl(r#"patch cm awaited -p '{"data":{"state":"old"}}'"#);
    has(&changed.finish().ok(), "configmap/awaited condition met");
    let deleted = cluster.running("wait --for=delete cm/awaited --timeout=60s");
    cluster.kubectl("delete cm awaited");
    deleted.finish().ok();
    cluster.wait("--for=condition=Available deployment/web");
    has(
        &cluster.refused("wait --for=condition=Never deployment/web --timeout=1s"),
        "timed out waiting for the condition",
    );
    until("web", || cluster.kubectl("get deployments"));
    lacks(&cluster.kubectl("get deployments"), "background");
}
