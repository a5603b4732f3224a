//! What a container finds around it: environment, files, names, and what it may do.

use serde_json::{Value, json};

use crate::support::{Cluster, PATIENCE, eventually, has, pod, shell, until, with};

#[test]
fn containers_find_what_the_manifest_says() {
    let cluster = Cluster::start("inside", 1);
    cluster.apply_all(&[
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"},
            "data": {"colour": "blue", "size": "large", "file.conf": "content\n"}}),
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"word": "hunter"}}),
        environment_pod(),
        volumes_pod(&cluster),
        secured_pod(),
        refused_pod(),
        named_pod(),
        hosted_pod(),
        waiting_pod(),
    ]);
    cluster.ready("pod/environment pod/volumes pod/secured pod/named pod/hosted");
    environment(&cluster);
    volumes(&cluster);
    updates(&cluster);
    security(&cluster);
    surroundings(&cluster);
    what_is_missing(&cluster);
}

fn sleeper() -> Value {
    shell("main", "exec sleep 1000")
}

fn environment_pod() -> Value {
    let container = with(
        sleeper(),
        json!({
            "resources": {"limits": {"memory": "64Mi", "cpu": "250m"}},
            "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "S_"}, {"secretRef": {"name": "keys"}},
                {"configMapRef": {"name": "nothing", "optional": true}}],
            "env": [
                {"name": "PLAIN", "value": "one"},
                {"name": "BUILT", "value": "$(PLAIN) and $(UNKNOWN) and $$(PLAIN)"},
                {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}},
                {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "word"}}},
                {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "LABEL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
            ],
        }),
    );
    pod("environment", &[container])
}

fn environment(cluster: &Cluster) {
    let found = cluster.kubectl("exec environment -- env");
    let ip = cluster.field("pod/environment", ".status.podIP");
    let wanted = [
        "S_colour=blue",
        "S_size=large",
        "word=hunter",
        "PLAIN=one",
        "BUILT=one and $(UNKNOWN) and $(PLAIN)",
        "COLOUR=blue",
        "WORD=hunter",
        "NAME=environment",
        "LABEL=environment",
        "NODE=node-1",
        "MEMORY=64",
        "CPU=250",
        "KUBERNETES_SERVICE_HOST=10.96.0.1",
        "KUBERNETES_SERVICE_PORT=443",
        "HOSTNAME=environment",
    ];
    for line in wanted.into_iter().map(str::to_owned).chain([format!("IP={ip}")]) {
        assert!(found.lines().any(|found| found == line), "{line} is not in\n{found}");
    }
}

fn volumes_pod(cluster: &Cluster) -> Value {
    let host = cluster.write("host/file", "from the host\n");
    let mounts = [
        ("shared", "/shared"),
        ("memory", "/memory"),
        ("host", "/host"),
        ("settings", "/settings"),
        ("keys", "/keys"),
        ("about", "/about"),
        ("all", "/all"),
    ];
    let mounts: Vec<Value> = mounts.iter().map(|(name, path)| json!({"name": name, "mountPath": path})).collect();
    let part = json!({"name": "settings", "mountPath": "/etc/part.conf", "subPath": "renamed"});
    let mounts: Vec<Value> = mounts.into_iter().chain([part]).collect();
    let main = with(sleeper(), json!({"volumeMounts": mounts}));
    let writer = with(
        shell("writer", "echo to the other > /shared/note; exec sleep 1000"),
        json!({"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}),
    );
    let volumes = json!([
        {"name": "shared", "emptyDir": {}},
        {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}},
        {"name": "host", "hostPath": {"path": std::path::Path::new(&host).parent().unwrap(), "type": "Directory"}},
        {"name": "settings", "configMap": {"name": "settings", "defaultMode": 0o400,
            "items": [{"key": "file.conf", "path": "renamed"}, {"key": "colour", "path": "deep/colour"}]}},
        {"name": "keys", "secret": {"secretName": "keys"}},
        {"name": "about", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
        {"name": "all", "projected": {"sources": [
            {"configMap": {"name": "settings", "items": [{"key": "size", "path": "size"}]}},
            {"secret": {"name": "keys"}},
            {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
            {"serviceAccountToken": {"path": "token", "audience": "somebody", "expirationSeconds": 3600}},
        ]}},
    ]);
    with(pod("volumes", &[main, writer]), json!({"spec": {"volumes": volumes}}))
}

fn read(cluster: &Cluster, file: &str) -> String {
    cluster.kubectl(&format!("exec volumes -c main -- cat {file}"))
}

fn volumes(cluster: &Cluster) {
    let files = [
        ("/shared/note", "to the other"),
        ("/host/file", "from the host"),
        ("/settings/renamed", "content"),
        ("/settings/deep/colour", "blue"),
        ("/keys/word", "hunter"),
        ("/about/labels", "app=\"volumes\""),
        ("/all/size", "large"),
        ("/all/word", "hunter"),
        ("/all/name", "volumes"),
        ("/etc/part.conf", "content"),
        ("/var/run/secrets/kubernetes.io/serviceaccount/namespace", "default"),
    ];
    for (file, content) in files {
        assert_eq!(read(cluster, file), content, "{file}");
    }
    assert_eq!(read(cluster, "/all/token").matches('.').count(), 2);
    let listed = cluster.kubectl("exec volumes -c main -- stat -L -c %a /settings/renamed /keys/word");
    assert_eq!(listed, "400\n644");
    let memory = cluster.kubectl("exec volumes -c main -- df -k /memory");
    has(&memory, "tmpfs");
    has(&cluster.refused("exec volumes -c main -- touch /keys/other"), "Read-only file system");
    let account = "/var/run/secrets/kubernetes.io/serviceaccount";
    has(&read(cluster, &format!("{account}/ca.crt")), "BEGIN CERTIFICATE");
    let token = read(cluster, &format!("{account}/token"));
    let server = cluster.kubectl("config view --minify -o 'jsonpath={.clusters[0].cluster.server}'");
    let empty = cluster.write("empty-kubeconfig", "");
    let whoami =
        format!("--kubeconfig={empty} --server={server} --insecure-skip-tls-verify --token={token} auth whoami");
    has(&cluster.kubectl(&whoami), "system:serviceaccount:default:default");
}

/// What is mounted follows its source; a part that is mounted by itself does not.
fn updates(cluster: &Cluster) {
    cluster.kubectl(r#"patch cm settings -p '{"data":{"file.conf":"changed\n","colour":"red"}}'"#);
    cluster.kubectl(r#"patch secret keys -p '{"stringData":{"word":"changed"}}'"#);
    cluster.kubectl("label pod volumes new=label");
    for (file, content) in [("/settings/renamed", "changed"), ("/keys/word", "changed"), ("/all/word", "changed")] {
        eventually(file, PATIENCE, || (read(cluster, file) == content).then_some(()));
    }
    assert_eq!(read(cluster, "/settings/deep/colour"), "red");
    until("new=\"label\"", || read(cluster, "/about/labels"));
    assert_eq!(read(cluster, "/etc/part.conf"), "content");
}

fn secured_pod() -> Value {
    let container = with(
        sleeper(),
        json!({
            "securityContext": {
                "runAsUser": 1234, "runAsGroup": 2345, "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "volumeMounts": [{"name": "work", "mountPath": "/shared"}],
        }),
    );
    let spec = json!({
        "securityContext": {"fsGroup": 3456, "supplementalGroups": [4567]},
        "volumes": [{"name": "work", "emptyDir": {}}],
    });
    with(pod("secured", &[container]), json!({"spec": spec}))
}

fn refused_pod() -> Value {
    with(pod("refused", &[sleeper()]), json!({"spec": {"securityContext": {"runAsNonRoot": true}}}))
}

fn security(cluster: &Cluster) {
    let exec = |command: &str| cluster.kubectl(&format!("exec secured -- {command}"));
    let id = exec("id");
    for part in ["uid=1234", "gid=2345", "3456", "4567"] {
        has(&id, part);
    }
    let status = exec("cat /proc/self/status");
    for part in ["CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"] {
        has(&status, part);
    }
    has(&cluster.refused("exec secured -- touch /file"), "Read-only file system");
    exec("touch /shared/file");
    assert_eq!(exec("stat -c %g /shared/file"), "3456");
    until("CreateContainerConfigError", || cluster.kubectl("get pod refused"));
    has(&cluster.kubectl("describe pod refused"), "Error: container has runAsNonRoot and image will run as root");
}

fn named_pod() -> Value {
    let spec = json!({
        "hostname": "host", "subdomain": "domain", "shareProcessNamespace": true,
        "hostAliases": [{"ip": "192.0.2.7", "hostnames": ["seven.example"]}],
        "dnsConfig": {"searches": ["example.test"], "options": [{"name": "ndots", "value": "3"}]},
    });
    with(pod("named", &[sleeper(), shell("other", "exec sleep 2000")]), json!({"spec": spec}))
}

fn hosted_pod() -> Value {
    with(pod("hosted", &[sleeper()]), json!({"spec": {"hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"}}))
}

fn surroundings(cluster: &Cluster) {
    let exec = |command: &str| cluster.kubectl(&format!("exec named -c main -- {command}"));
    assert_eq!(exec("hostname"), "host");
    let hosts = exec("cat /etc/hosts");
    has(&hosts, "host.domain.default.svc.cluster.local");
    has(&hosts, "192.0.2.7\tseven.example");
    let resolv = exec("cat /etc/resolv.conf");
    for part in [
        "nameserver 10.96.0.10",
        "default.svc.cluster.local svc.cluster.local cluster.local",
        "example.test",
        "ndots:3",
    ] {
        has(&resolv, part);
    }
    has(&exec("ps"), "sleep 2000");
    let address = cluster.field("node/node-1", ".status.addresses[0].address");
    assert_eq!(cluster.field("pod/hosted", ".status.podIP"), address);
    has(&cluster.kubectl("exec hosted -- nslookup kubernetes.default.svc.cluster.local"), "10.96.0.1");
}

fn waiting_pod() -> Value {
    let container = with(sleeper(), json!({"envFrom": [{"configMapRef": {"name": "late"}}]}));
    pod("waiting", &[container])
}

/// A pod that misses something says so, and goes on when it comes.
fn what_is_missing(cluster: &Cluster) {
    until("CreateContainerConfigError", || cluster.kubectl("get pod waiting"));
    has(&cluster.kubectl("describe pod waiting"), r#"Error: configmap "late" not found"#);
    let mounting = json!({"spec": {"volumes": [{"name": "v", "secret": {"secretName": "later"}}]}});
    cluster.apply(with(
        pod("mounting", &[with(sleeper(), json!({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}))]),
        mounting,
    ));
    until(r#"MountVolume.SetUp failed for volume "v" : secret "later" not found"#, || {
        cluster.kubectl("describe pod mounting")
    });
    assert_eq!(cluster.rows("get pod mounting")[0]["STATUS"], "ContainerCreating");
    cluster.kubectl("create cm late --from-literal=a=1");
    cluster.kubectl("create secret generic later --from-literal=a=1");
    cluster.ready("pod/waiting pod/mounting");
}
