//! The life of pods: order, restarts, probes, hooks, ends.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use serde_json::{Value, json};
use support::{IMAGE, World, condition, container, inside, status, until_term};

#[test]
fn init_containers_run_in_order_and_sidecars_outlive_main_containers() {
    inside("init_containers_run_in_order_and_sidecars_outlive_main_containers", || async {
        let world = World::new().await;
        let mount = json!([{"name": "v", "mountPath": "/v"}]);
        let with = |mut container: Value| {
            container["volumeMounts"] = mount.clone();
            container
        };
        let mut sidecar = with(container(
            "side",
            "trap 'echo end >> /v/log; exit 0' TERM; echo side >> /v/log; while :; do sleep 0.1; done",
        ));
        sidecar["restartPolicy"] = json!("Always");
        world.create("order", json!({
            "restartPolicy": "Never",
            "volumes": [{"name": "v", "emptyDir": {}}],
            "initContainers": [with(container("one", "echo one >> /v/log")), sidecar, with(container("two", "echo two >> /v/log"))],
            "containers": [with(container("main", "sleep 0.3; cat /v/log; echo main >> /v/log"))],
        }));
        let pod = world.api.pod("order", |pod| pod["status"]["phase"] == "Succeeded").await;
        assert_eq!(world.log(&pod, "main", 0), "one\nside\ntwo\n");
        assert_eq!(status(&pod, "one")["state"]["terminated"]["reason"], "Completed");
        assert_eq!(status(&pod, "side")["state"]["terminated"]["exitCode"], 0);
        assert_eq!(condition(&pod, "Initialized"), "True");
        assert_eq!(condition(&pod, "Ready"), "False");
        world.end().await;
    });
}

#[test]
fn a_crashing_container_backs_off() {
    inside("a_crashing_container_backs_off", || async {
        let world = World::new().await;
        let mut crash = container("c", "echo last words > /dev/termination-log; exit 3");
        crash["terminationMessagePath"] = json!("/dev/termination-log");
        world.create("crash", json!({"containers": [crash]}));
        let pod =
            world.api.pod("crash", |pod| status(pod, "c")["state"]["waiting"]["reason"] == "CrashLoopBackOff").await;
        let uid = pod["metadata"]["uid"].as_str().unwrap();
        let c = status(&pod, "c");
        assert_eq!(
            c["state"]["waiting"]["message"],
            format!("back-off 10s restarting failed container=c pod=crash_default({uid})")
        );
        assert_eq!(c["restartCount"], 1);
        assert_eq!(c["lastState"]["terminated"]["exitCode"], 3);
        assert_eq!(c["lastState"]["terminated"]["reason"], "Error");
        assert_eq!(c["lastState"]["terminated"]["message"], "last words\n");
        assert_eq!(pod["status"]["phase"], "Running");
        let text = format!("Back-off restarting failed container c in pod crash_default({uid})");
        world.api.event("crash", "BackOff", &text).await;
        let pod = world.api.pod("crash", |pod| status(pod, "c")["restartCount"] == 2).await;
        assert_eq!(pod["status"]["phase"], "Running");
        world.end().await;
    });
}

#[test]
fn pods_that_cannot_start_say_why() {
    inside("pods_that_cannot_start_say_why", || async {
        let world = World::new().await;
        let image = |image: &str, policy: &str| json!({"name": "c", "image": image, "imagePullPolicy": policy});
        let with = |key: &str, value: Value| {
            let mut container = container("c", "sleep 1d");
            container[key] = value;
            container
        };
        let cases = [
            (
                "never",
                image("node.test/none:1", "Never"),
                "ErrImageNeverPull",
                "Container image \"node.test/none:1\" is not present with pull policy of Never",
            ),
            ("name", image("Node:x:y", "Always"), "InvalidImageName", "couldn't parse image name"),
            ("pull", image("127.0.0.1:1/none:1", "Always"), "ErrImagePull", "failed to pull and unpack image"),
            (
                "env",
                with("env", json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "a"}}}])),
                "CreateContainerConfigError",
                "configmap \"none\" not found",
            ),
            (
                "user",
                with("securityContext", json!({"runAsNonRoot": true})),
                "CreateContainerConfigError",
                "container has runAsNonRoot and image will run as root",
            ),
            ("command", with("command", json!(["/none"])), "RunContainerError", "no such file or directory"),
        ];
        for (name, container, ..) in &cases {
            world.create(name, json!({"containers": [container]}));
        }
        for (name, _, reason, message) in &cases {
            let of = |pod: &Value| status(pod, "c")["state"]["waiting"].clone();
            let pod = world.api.pod(name, |pod| of(pod)["reason"] == *reason).await;
            let waiting = of(&pod);
            assert!(waiting["message"].as_str().unwrap().contains(message), "{name}: {waiting}");
        }
        let pod =
            world.api.pod("pull", |pod| status(pod, "c")["state"]["waiting"]["reason"] == "ImagePullBackOff").await;
        assert_eq!(pod["status"]["phase"], "Pending");
        world.api.event("pull", "BackOff", "Back-off pulling image \"127.0.0.1:1/none:1\"").await;
        world.api.event("never", "Failed", "Error: ErrImageNeverPull").await;

        // What was missing appears.
        world.api.put("configmaps", json!({"metadata": {"namespace": "default", "name": "none"}, "data": {"a": "1"}}));
        world.api.pod("env", |pod| condition(pod, "Ready") == "True").await;

        world.create(
            "volume",
            json!({
                "containers": [container("c", "sleep 1d")],
                "volumes": [{"name": "s", "secret": {"secretName": "none"}}],
            }),
        );
        world
            .api
            .event("volume", "FailedMount", "MountVolume.SetUp failed for volume \"s\" : secret \"none\" not found")
            .await;
        let pod = world.api.pod("volume", |pod| !status(pod, "c").is_null()).await;
        assert_eq!(status(&pod, "c")["state"]["waiting"]["reason"], "ContainerCreating");
        world.end().await;
    });
}

#[test]
fn probes_decide_on_readiness_and_restarts() {
    inside("probes_decide_on_readiness_and_restarts", || async {
        let world = World::new().await;
        let mut ready =
            container("c", &until_term("mkdir -p /www; sleep 0.5; echo ok > /www/ready; httpd -p 8080 -h /www"));
        ready["ports"] = json!([{"name": "web", "containerPort": 8080}]);
        ready["readinessProbe"] = json!({"httpGet": {"path": "/ready", "port": "web"}, "periodSeconds": 1});
        world.create("ready", json!({"containers": [ready]}));
        let mut live = container("c", &until_term("true"));
        live["livenessProbe"] =
            json!({"exec": {"command": ["sh", "-c", "echo dead; exit 1"]}, "periodSeconds": 1, "failureThreshold": 2});
        world.create("live", json!({"containers": [live], "terminationGracePeriodSeconds": 3}));
        let mut start = container("c", &until_term("true"));
        start["startupProbe"] = json!({"tcpSocket": {"port": 9}, "periodSeconds": 1, "failureThreshold": 2});
        start["readinessProbe"] = json!({"exec": {"command": ["true"]}, "periodSeconds": 1});
        world.create("start", json!({"containers": [start], "terminationGracePeriodSeconds": 3}));

        let pod = world.api.pod("ready", |pod| status(pod, "c")["state"]["running"].is_object()).await;
        assert_eq!(condition(&pod, "Ready"), "False");
        world.api.pod("ready", |pod| condition(pod, "Ready") == "True").await;
        world.api.event("ready", "Unhealthy", "Readiness probe failed: Get \"http://10.244.1.").await;

        let pod = world.api.pod("live", |pod| status(pod, "c")["restartCount"] == 1).await;
        assert_eq!(status(&pod, "c")["lastState"]["terminated"]["exitCode"], 0);
        world.api.event("live", "Unhealthy", "Liveness probe failed: dead\n").await;
        world.api.event("live", "Killing", "Container c failed liveness probe, will be restarted").await;

        let pod = world.api.pod("start", |pod| status(pod, "c")["restartCount"] == 1).await;
        assert_eq!(status(&pod, "c")["started"], false);
        world.api.event("start", "Unhealthy", "connect: connection refused").await;
        world.api.event("start", "Killing", "Container c failed startup probe, will be restarted").await;
        world.end().await;
    });
}

#[test]
fn hooks_and_graceful_ends() {
    inside("hooks_and_graceful_ends", || async {
        let world = World::new().await;
        let share = json!([{"name": "v", "mountPath": "/v"}]);
        let dir = tempfile::tempdir().unwrap();
        let mut hooked = container("c", "trap 'echo term >> /v/log; exit 0' TERM; while :; do sleep 0.1; done");
        hooked["volumeMounts"] = share.clone();
        hooked["lifecycle"] = json!({
            "postStart": {"exec": {"command": ["sh", "-c", "echo start >> /v/log"]}},
            "preStop": {"exec": {"command": ["sh", "-c", "echo stop >> /v/log"]}},
        });
        world.create(
            "hooked",
            json!({
                "containers": [hooked], "volumes": [{"name": "v", "hostPath": {"path": dir.path()}}],
            }),
        );
        world.api.pod("hooked", |pod| condition(pod, "Ready") == "True").await;
        let begun = std::time::Instant::now();
        let stubborn = container("c", "trap '' TERM; while :; do sleep 0.1; done");
        world.create("stubborn", json!({"containers": [stubborn]}));
        world.api.pod("stubborn", |pod| condition(pod, "Ready") == "True").await;
        world.api.delete_pod("hooked", 30);
        world.api.pod("hooked", Value::is_null).await;
        let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
        assert_eq!(log, "start\nstop\nterm\n");
        assert!(begun.elapsed().as_secs() < 25);

        world.api.delete_pod("stubborn", 3);
        world.api.pod("stubborn", Value::is_null).await;

        let mut failing = container("c", &until_term("true"));
        failing["lifecycle"] = json!({"postStart": {"exec": {"command": ["false"]}}});
        world.create("failing", json!({"containers": [failing]}));
        world.api.event("failing", "FailedPostStartHook", "PostStartHook failed").await;
        world.end().await;
    });
}

#[test]
fn a_deadline_and_a_failed_init_container_end_a_pod() {
    inside("a_deadline_and_a_failed_init_container_end_a_pod", || async {
        let world = World::new().await;
        world.create("late", json!({"activeDeadlineSeconds": 2, "containers": [container("c", &until_term("true"))]}));
        world.create(
            "init",
            json!({
                "restartPolicy": "Never",
                "initContainers": [container("i", "echo broken; exit 4")],
                "containers": [container("c", "true")],
            }),
        );
        let pod = world.api.pod("late", |pod| pod["status"]["phase"] == "Failed").await;
        assert_eq!(pod["status"]["reason"], "DeadlineExceeded");
        assert_eq!(pod["status"]["message"], "Pod was active on the node longer than the specified deadline");
        let pod = world.api.pod("init", |pod| pod["status"]["phase"] == "Failed").await;
        assert_eq!(status(&pod, "i")["state"]["terminated"]["exitCode"], 4);
        assert_eq!(status(&pod, "c")["state"]["waiting"]["reason"], "PodInitializing");
        assert_eq!(world.log(&pod, "i", 0), "broken\n");
        world.end().await;
    });
}

#[test]
fn memory_limits_kill() {
    inside("memory_limits_kill", || async {
        let world = World::new().await;
        let mut hungry = container("c", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done");
        hungry["resources"] = json!({"limits": {"memory": "32Mi", "cpu": "500m"}});
        world.create("hungry", json!({"restartPolicy": "Never", "containers": [hungry]}));
        let pod = world.api.pod("hungry", |pod| pod["status"]["phase"] == "Failed").await;
        assert_eq!(status(&pod, "c")["state"]["terminated"]["reason"], "OOMKilled");
        assert_eq!(status(&pod, "c")["state"]["terminated"]["exitCode"], 137);
        world.end().await;
    });
}

#[test]
fn a_new_image_replaces_a_container() {
    inside("a_new_image_replaces_a_container", || async {
        let world = World::new().await;
        let other = "node.test/other:1";
        let image = cri::import::ImageBuilder::new()
            .file("/bin/sh", 0o755, std::fs::read("/bin/busybox").unwrap())
            .config("Env", json!(["PATH=/bin"]));
        world.runtime.import(&image.build(vec![other.parse().unwrap()])).await.unwrap();
        let spec = json!({"nodeName": "node-1", "containers": [container("c", &until_term("true"))]});
        world.create("image", spec);
        let mut pod = world.api.pod("image", |pod| condition(pod, "Ready") == "True").await;
        assert_eq!(status(&pod, "c")["image"], IMAGE);
        pod["spec"]["containers"][0]["image"] = json!(other);
        world.api.put("pods", pod);
        let pod = world.api.pod("image", |pod| status(pod, "c")["restartCount"] == 1).await;
        assert_eq!(status(&pod, "c")["image"], other);
        world.api.event("image", "Killing", "Container c definition changed, will be restarted").await;
        world.end().await;
    });
}

#[test]
fn new_limits_and_ephemeral_containers_reach_a_running_pod() {
    inside("new_limits_and_ephemeral_containers_reach_a_running_pod", || async {
        let world = World::new().await;
        let mut limited = container("c", &until_term("true"));
        limited["resources"] = json!({"limits": {"memory": "64Mi", "cpu": "500m"}});
        world.create("grown", json!({"containers": [limited]}));
        let mut pod = world.api.pod("grown", |pod| condition(pod, "Ready") == "True").await;
        pod["spec"]["containers"][0]["resources"]["limits"]["memory"] = json!("96Mi");
        let mut debug = container("debug", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes; exit 3");
        debug["targetContainerName"] = json!("c");
        pod["spec"]["ephemeralContainers"] = json!([debug]);
        world.api.put("pods", pod);
        let pod = world.api.pod("grown", |pod| status(pod, "debug")["state"]["terminated"].is_object()).await;
        assert_eq!(status(&pod, "debug")["state"]["terminated"]["exitCode"], 3);
        assert_eq!(pod["status"]["phase"], "Running");
        assert_eq!(condition(&pod, "Ready"), "True");
        assert_eq!(status(&pod, "c")["restartCount"], 0);
        let id = status(&pod, "c")["containerID"].as_str().unwrap().strip_prefix("containerd://").unwrap().to_owned();
        let wait = async {
            loop {
                let found = world.runtime.container_status(&id).await.unwrap();
                let linux = found.resources.and_then(|resources| resources.linux).unwrap();
                if linux.memory_limit_in_bytes == 96 << 20 {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), wait).await.unwrap();
        world.end().await;
    });
}

#[test]
fn a_pod_that_does_not_fit_is_refused() {
    inside("a_pod_that_does_not_fit_is_refused", || async {
        let world = World::new().await;
        let mut big = container("c", "true");
        big["resources"] = json!({"requests": {"cpu": "1000"}});
        world.create("big", json!({"containers": [big]}));
        let pod = world.api.pod("big", |pod| pod["status"]["phase"] == "Failed").await;
        assert_eq!(pod["status"]["reason"], "OutOfcpu");
        world.end().await;
    });
}
