//! What a container finds around it: environment, volumes, files, identity.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use support::{World, condition, container, inside, status, until_term};

/// Waits until a file has the text.
async fn until_text(path: &std::path::Path, text: &str) {
    let wait = async {
        while fs::read_to_string(path).unwrap_or_default() != text {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
    waited.unwrap_or_else(|_| panic!("{} is {:?}", path.display(), fs::read_to_string(path)));
}

#[test]
fn environment() {
    inside("environment", || async {
        let world = World::new().await;
        world.api.put(
            "configmaps",
            json!({"metadata": {"namespace": "default", "name": "m"}, "data": {"a": "1", "b": "2"}}),
        );
        world.api.put("secrets", json!({"metadata": {"namespace": "default", "name": "s"}, "data": {"p": "cGFzcw=="}}));
        world.api.put("services", json!({
            "metadata": {"namespace": "default", "name": "db"}, "spec": {"clusterIP": "10.96.0.9", "ports": [{"port": 5432}]},
        }));
        world.create("env", json!({
            "restartPolicy": "Never",
            "serviceAccountName": "runner",
            "containers": [{
                "name": "c", "image": support::IMAGE, "command": ["sh", "-c", "echo $0 $A $M_b $P $NAME $CPU $IP $DB_SERVICE_HOST; hostname", "$(A)-$(NONE)-$$(A)"],
                "resources": {"limits": {"cpu": "250m", "memory": "32Mi"}},
                "envFrom": [{"prefix": "M_", "configMapRef": {"name": "m"}}, {"configMapRef": {"name": "none", "optional": true}}],
                "env": [
                    {"name": "A", "value": "x$(M_a)"},
                    {"name": "P", "valueFrom": {"secretKeyRef": {"name": "s", "key": "p"}}},
                    {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}},
                    {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                ],
            }],
        }));
        let pod = world.api.pod("env", |pod| pod["status"]["phase"] == "Succeeded").await;
        let ip = pod["status"]["podIP"].as_str().unwrap();
        assert_eq!(world.log(&pod, "c", 0), format!("x1-$(NONE)-$(A) x1 2 pass env 250 {ip} 10.96.0.9\nenv\n"));
        world.end().await;
    });
}

#[test]
fn volumes_show_objects_and_follow_them() {
    inside("volumes_show_objects_and_follow_them", || async {
        let world = World::new().await;
        let map = |value: &str| json!({"metadata": {"namespace": "default", "name": "m"}, "data": {"a": value}, "binaryData": {"b": "AAE="}});
        world.api.put("configmaps", map("1"));
        world.api.put("secrets", json!({"metadata": {"namespace": "default", "name": "s"}, "data": {"p": "cGFzcw=="}}));
        let pod = world.create("vol", json!({
            "containers": [{
                "name": "c", "image": support::IMAGE, "command": ["sh", "-c", until_term("cat /m/a /s/x/y /p/t/token /p/labels /sub; ls -ln /m/ | cat; id -G; echo ok")],
                "volumeMounts": [
                    {"name": "m", "mountPath": "/m"}, {"name": "s", "mountPath": "/s", "readOnly": true},
                    {"name": "p", "mountPath": "/p"}, {"name": "m", "mountPath": "/sub", "subPath": "a"},
                    {"name": "e", "mountPath": "/e"},
                ],
            }],
            "securityContext": {"runAsUser": 1000, "fsGroup": 2000},
            "volumes": [
                {"name": "m", "configMap": {"name": "m"}},
                {"name": "s", "secret": {"secretName": "s", "items": [{"key": "p", "path": "x/y", "mode": 256}]}},
                {"name": "e", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
                {"name": "p", "projected": {"sources": [
                    {"serviceAccountToken": {"path": "t/token"}},
                    {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                    {"configMap": {"name": "absent", "optional": true}},
                ]}},
            ],
        }));
        let ready = world.api.pod("vol", |pod| condition(pod, "Ready") == "True").await;
        assert_eq!(status(&ready, "c")["volumeMounts"][1]["recursiveReadOnly"], "Disabled");
        let wait = async {
            while !world.log(&pod, "c", 0).ends_with("ok\n") {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait)
            .await
            .unwrap_or_else(|_| panic!("{}", world.log(&pod, "c", 0)));
        let log = world.log(&pod, "c", 0);
        assert!(log.starts_with("1passthe-tokenvol1"), "{log}");
        assert!(log.contains("2000"), "{log}");
        let dir = world.pod_dir(pod["metadata"]["uid"].as_str().unwrap()).join("volumes");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(mounts.contains("kubernetes.io~empty-dir/e") && mounts.contains("size=1024k"), "{mounts}");
        world.api.put("configmaps", map("2"));
        until_text(&dir.join("kubernetes.io~configmap/m/a"), "2").await;
        world.api.delete_pod("vol", 5);
        world.api.pod("vol", Value::is_null).await;
        assert!(!fs::read_to_string("/proc/self/mountinfo").unwrap().contains("kubernetes.io~empty-dir/e"));
        world.end().await;
    });
}

#[test]
fn host_paths_sub_paths_and_what_lies_behind_them() {
    inside("host_paths_sub_paths_and_what_lies_behind_them", || async {
        let world = World::new().await;
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("precious"), "kept").unwrap();
        let mount = |path: &str, sub: &str| json!({"name": "h", "mountPath": path, "subPath": sub});
        world.create("host", json!({
            "restartPolicy": "Never",
            "containers": [{
                "name": "c", "image": support::IMAGE, "command": ["sh", "-c", "cat /p; touch /new/file; echo $X > /expr/x"],
                "env": [{"name": "X", "value": "here"}],
                "volumeMounts": [
                    mount("/p", "precious"), mount("/new", "made/deep"),
                    {"name": "h", "mountPath": "/expr", "subPathExpr": "$(X)"},
                ],
            }],
            "volumes": [{"name": "h", "hostPath": {"path": dir.path(), "type": "Directory"}}],
        }));
        let pod = world.api.pod("host", |pod| pod["status"]["phase"] == "Succeeded").await;
        assert_eq!(world.log(&pod, "c", 0), "kept\n");
        world.create(
            "bad",
            json!({
                "containers": [container("c", "true")],
                "volumes": [{"name": "h", "hostPath": {"path": "/none", "type": "Socket"}}],
            }),
        );
        world.api.event("bad", "FailedMount", "hostPath type check failed: /none is not a socket file").await;
        world.create(
            "claim",
            json!({
                "containers": [container("c", "true")],
                "volumes": [{"name": "h", "persistentVolumeClaim": {"claimName": "data"}}],
            }),
        );
        world.api.event("claim", "FailedMount", "persistent volumes (claim \"data\") are not supported").await;
        world.end().await;
        assert_eq!(fs::read_to_string(dir.path().join("precious")).unwrap(), "kept");
        assert!(dir.path().join("made/deep/file").exists());
        assert_eq!(fs::read_to_string(dir.path().join("here/x")).unwrap(), "here\n");
    });
}

#[test]
fn host_network_hosts_and_dns() {
    inside("host_network_hosts_and_dns", || async {
        let world = World::new().await;
        let see = "cat /etc/resolv.conf; cat /etc/hosts";
        world.create(
            "own",
            json!({
                "restartPolicy": "Never", "hostname": "web", "subdomain": "sub",
                "hostAliases": [{"ip": "1.2.3.4", "hostnames": ["alias"]}],
                "containers": [container("c", see)],
            }),
        );
        world.create(
            "host",
            json!({"restartPolicy": "Never", "hostNetwork": true, "containers": [container("c", see)]}),
        );
        let pod = world.api.pod("own", |pod| pod["status"]["phase"] == "Succeeded").await;
        let log = world.log(&pod, "c", 0);
        let ip = pod["status"]["podIP"].as_str().unwrap();
        for line in [
            "nameserver 10.96.0.10".to_owned(),
            "search default.svc.cluster.local svc.cluster.local cluster.local".to_owned(),
            format!("{ip}\tweb.sub.default.svc.cluster.local\tweb"),
            "1.2.3.4\talias".to_owned(),
        ] {
            assert!(log.contains(&line), "{line} not in {log}");
        }
        let pod = world.api.pod("host", |pod| pod["status"]["phase"] == "Succeeded").await;
        assert_eq!(pod["status"]["podIP"], "127.0.0.1");
        assert!(world.log(&pod, "c", 0).contains("# Kubernetes-managed hosts file (host network)."));
        world.end().await;
    });
}

#[test]
fn identity_and_limits() {
    inside("identity_and_limits", || async {
        let world = World::new().await;
        let mut limited = container(
            "c",
            "id; cat /proc/self/status; touch /x || echo read only; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max",
        );
        limited["resources"] = json!({"limits": {"memory": "64Mi", "cpu": "500m"}});
        limited["securityContext"] = json!({
            "runAsUser": 1234, "runAsGroup": 5, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
            "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"},
        });
        world.create(
            "limited",
            json!({"restartPolicy": "Never", "securityContext": {"supplementalGroups": [77]}, "containers": [limited]}),
        );
        let mut privileged = container("c", "cat /proc/self/status; ls /dev/mem");
        privileged["securityContext"] = json!({"privileged": true});
        world.create(
            "privileged",
            json!({"restartPolicy": "Never", "hostPID": true, "hostIPC": true, "containers": [privileged]}),
        );
        let of = |pod: &Value| {
            let phase = pod["status"]["phase"].as_str().unwrap_or_default();
            phase == "Succeeded" || phase == "Failed"
        };
        let pod = world.api.pod("limited", of).await;
        let log = world.log(&pod, "c", 0);
        for text in [
            "uid=1234",
            "gid=5",
            "groups=5,77",
            "CapEff:\t0000000000000000",
            "NoNewPrivs:\t1",
            "Seccomp:\t2",
            "read only",
            "67108864",
        ] {
            assert!(log.contains(text), "{text} not in {log}");
        }
        let pod = world.api.pod("privileged", of).await;
        let log = world.log(&pod, "c", 0);
        assert!(log.contains("CapEff:\t000001fffeffffff") || log.contains("CapEff:\t000001ffffffffff"), "{log}");
        assert!(log.contains("Seccomp:\t0"), "{log}");
        world.end().await;
    });
}
