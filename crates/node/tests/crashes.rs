//! The node process or containerd end at any time: nothing runs twice, nothing is forgotten.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use serde_json::{Value, json};
use support::{World, condition, container, inside, status, until_term};

#[test]
fn a_restarted_node_finds_its_pods_again() {
    inside("a_restarted_node_finds_its_pods_again", || async {
        let mut world = World::new().await;
        let mut probed = container("c", &until_term("true"));
        probed["readinessProbe"] = json!({"exec": {"command": ["true"]}, "periodSeconds": 1});
        world.create("kept", json!({"containers": [probed]}));
        world.create("removed", json!({"containers": [container("c", &until_term("true"))]}));
        world.create("ended", json!({"restartPolicy": "Never", "containers": [container("c", &until_term("true"))]}));
        let before = world.api.pod("kept", |pod| condition(pod, "Ready") == "True").await;
        for name in ["removed", "ended"] {
            world.api.pod(name, |pod| condition(pod, "Ready") == "True").await;
        }
        world.stop_node().await;
        let ended = status(&world.api.pod("ended", |_| true).await, "c")["containerID"].clone();
        let id = ended.as_str().unwrap().strip_prefix("containerd://").unwrap();
        world.runtime.stop_container(id, std::time::Duration::from_secs(5)).await.unwrap();
        let removed = world.api.remove("pods", "default", "removed").unwrap();
        let removed_dir = world.pod_dir(removed["metadata"]["uid"].as_str().unwrap());
        std::fs::create_dir_all(removed_dir.join("volumes")).unwrap();

        world.start_node();
        let pod = world.api.pod("ended", |pod| pod["status"]["phase"] == "Succeeded").await;
        assert_eq!(status(&pod, "c")["containerID"], ended);
        // The orphan goes, with all that it left.
        let gone = async {
            while removed_dir.exists() {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), gone).await.unwrap();
        let after = world.api.get("pods", "default", "kept").unwrap();
        assert_eq!(status(&after, "c")["containerID"], status(&before, "c")["containerID"]);
        assert_eq!(condition(&after, "Ready"), "True");
        assert_eq!(after["status"]["conditions"], before["status"]["conditions"]);
        world.end().await;
    });
}

#[test]
fn containers_survive_a_crash_of_containerd() {
    inside("containers_survive_a_crash_of_containerd", || async {
        let mut world = World::new().await;
        world.create("a", json!({"containers": [container("c", &until_term("true"))]}));
        let before = world.api.pod("a", |pod| condition(pod, "Ready") == "True").await;
        world.crash_containerd().await;
        world.create("b", json!({"containers": [container("c", &until_term("true"))]}));
        world.api.pod("b", |pod| condition(pod, "Ready") == "True").await;
        let after = world.api.get("pods", "default", "a").unwrap();
        assert_eq!(status(&after, "c")["containerID"], status(&before, "c")["containerID"]);
        assert_eq!(status(&after, "c")["restartCount"], 0);
        // Its end is noticed, although the first subscription to events broke.
        let id = status(&after, "c")["containerID"].as_str().unwrap().strip_prefix("containerd://").unwrap();
        world.runtime.stop_container(id, std::time::Duration::from_secs(5)).await.unwrap();
        world.api.pod("a", |pod| status(pod, "c")["restartCount"] == 1).await;
        world.end().await;
    });
}

#[test]
fn a_dead_sandbox_is_replaced() {
    inside("a_dead_sandbox_is_replaced", || async {
        let world = World::new().await;
        world.create("a", json!({"containers": [container("c", &until_term("true"))]}));
        world.api.pod("a", |pod| condition(pod, "Ready") == "True").await;
        let sandboxes = world.runtime.list_pod_sandboxes(cri::v1::PodSandboxFilter::default()).await.unwrap();
        world.runtime.stop_pod_sandbox(&sandboxes[0].id).await.unwrap();
        let pod = world
            .api
            .pod("a", |pod| status(pod, "c")["restartCount"].as_i64() >= Some(1) && condition(pod, "Ready") == "True")
            .await;
        assert!(pod["status"]["podIP"].is_string());
        world.api.event("a", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.").await;
        world.end().await;
    });
}

#[test]
fn a_deletion_is_finished_by_the_next_run() {
    inside("a_deletion_is_finished_by_the_next_run", || async {
        let mut world = World::new().await;
        world.create("a", json!({"containers": [container("c", "trap '' TERM; while :; do sleep 0.1; done")]}));
        world.api.pod("a", |pod| condition(pod, "Ready") == "True").await;
        world.api.delete_pod("a", 20);
        world.api.event("a", "Killing", "Stopping container c").await;
        world.stop_node().await;
        world.api.delete_pod("a", 2);
        world.start_node();
        world.api.pod("a", Value::is_null).await;
        world.end().await;
    });
}

#[test]
fn no_container_runs_twice_however_often_the_node_is_killed() {
    inside("no_container_runs_twice_however_often_the_node_is_killed", || async {
        let mut world = World::new().await;
        let dir = tempfile::tempdir().unwrap();
        for round in 0..12_u64 {
            let name = format!("p{round}");
            let mut counted = container("c", &until_term(&format!("echo run >> /h/{name}")));
            counted["volumeMounts"] = json!([{"name": "h", "mountPath": "/h"}]);
            world.create(
                &name,
                json!({
                    "containers": [counted], "volumes": [{"name": "h", "hostPath": {"path": dir.path()}}],
                }),
            );
            // Each round hits another stage of the start.
            tokio::time::sleep(std::time::Duration::from_millis(round * 17)).await;
            world.kill_node().await;
            world.start_node();
        }
        for round in 0..12 {
            let name = format!("p{round}");
            let pod = world.api.pod(&name, |pod| condition(pod, "Ready") == "True").await;
            let file = dir.path().join(&name);
            // Running comes before the first command has run.
            while !file.exists() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            let runs = std::fs::read_to_string(file).unwrap().lines().count();
            let restarts = status(&pod, "c")["restartCount"].as_u64().unwrap();
            assert!(runs as u64 <= restarts + 1, "{name} ran {runs} times, restarted {restarts} times");
        }
        let listed = world.runtime.list_containers(cri::v1::ContainerFilter::default()).await.unwrap();
        let running = listed.iter().filter(|found| found.state() == cri::v1::ContainerState::ContainerRunning);
        assert_eq!(running.count(), 12);
        world.end().await;
    });
}
