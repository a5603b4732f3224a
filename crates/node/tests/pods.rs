//! Pods on a real containerd, as root.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use serde_json::{Value, json};
use support::{World, condition, container, inside, status, until_term};

#[test]
fn a_pod_runs_and_goes() {
    inside("a_pod_runs_and_goes", || async {
        let world = World::new().await;
        let begun = std::time::Instant::now();
        world.create("web", json!({"containers": [container("c", &until_term("echo hello"))]}));
        let pod = world.api.pod("web", |pod| condition(pod, "Ready") == "True").await;
        eprintln!("ready after {:?}", begun.elapsed());
        assert_eq!(pod["status"]["phase"], "Running");
        assert!(pod["status"]["podIP"].as_str().unwrap().starts_with("10.244.1."));
        assert_eq!(pod["status"]["qosClass"], "BestEffort");
        assert_eq!(status(&pod, "c")["restartCount"], 0);
        assert_eq!(status(&pod, "c")["started"], true);
        assert_eq!(world.log(&pod, "c", 0), "hello\n");
        for (reason, message) in [
            (
                "Pulled",
                "Container image \"node.test/busybox:1\" already present on machine and can be accessed by the pod",
            ),
            ("Created", "Container created"),
            ("Started", "Container started"),
        ] {
            world.api.event("web", reason, message).await;
        }
        world.api.delete_pod("web", 30);
        world.api.pod("web", Value::is_null).await;
        world.api.event("web", "Killing", "Stopping container c").await;
        world.end().await;
    });
}
