//! The life of a pod's containers: how they begin, how they are watched, how they end and begin again.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Cluster, IMAGE, PATIENCE, eventually, has, lacks, pod, shell, until, with};

#[test]
fn containers_begin_are_watched_and_end() {
    let cluster = Cluster::start("pods", 1);
    // What takes time by itself begins first, and is looked at last.
    back_off_begins(&cluster);
    images_begin(&cluster);
    beginnings(&cluster);
    probes(&cluster);
    hooks(&cluster);
    endings(&cluster);
    limits(&cluster);
    images(&cluster);
    back_off(&cluster);
    grace(&cluster);
}

fn spec(name: &str, containers: &[Value], spec: Value) -> Value {
    with(pod(name, containers), json!({"spec": spec}))
}

fn status(cluster: &Cluster, pod: &str, column: &str) -> String {
    cluster.rows(&format!("get pod {pod}"))[0][column].clone()
}

#[track_caller]
fn becomes(cluster: &Cluster, pod: &str, wanted: &str) {
    let mut last = String::new();
    eventually(&format!("{pod} becomes {wanted}"), PATIENCE, || {
        last = status(cluster, pod, "STATUS");
        (last == wanted).then_some(())
    });
}

/// The events about a pod, with their words.
fn events(cluster: &Cluster, pod: &str) -> String {
    let template = "custom-columns=REASON:.reason,MESSAGE:.message";
    cluster.kubectl(&format!("get events --field-selector involvedObject.name={pod} -o {template} --no-headers"))
}

fn beginnings(cluster: &Cluster) {
    let write = |name: &str| shell(name, &format!("echo {name} >> /shared/order"));
    let mount = |container: Value| with(container, json!({"volumeMounts": [{"name": "work", "mountPath": "/shared"}]}));
    let sidecar = with(
        shell("side", "echo side >> /shared/order; trap 'exit 0' TERM; while true; do sleep 1; done"),
        json!({"restartPolicy": "Always"}),
    );
    let work = json!([{"name": "work", "emptyDir": {}}]);
    let inits = json!([mount(write("first")), mount(sidecar), mount(write("second"))]);
    cluster.apply_all(&[
        spec("ordered", &[mount(shell("main", "exec sleep 1000"))], json!({"initContainers": inits, "volumes": work})),
        spec(
            "with-side",
            &[shell("main", "sleep 1")],
            json!({"restartPolicy": "Never", "volumes": work, "initContainers": [inits[1]]}),
        ),
        spec(
            "stuck",
            &[shell("main", "true")],
            json!({"initContainers": [shell("never", "exit 1")], "restartPolicy": "Never"}),
        ),
    ]);
    cluster.ready("pod/ordered");
    assert_eq!(cluster.kubectl("exec ordered -c main -- cat /shared/order"), "first\nside\nsecond");
    assert_eq!(status(cluster, "ordered", "READY"), "2/2");
    becomes(cluster, "with-side", "Completed");
    becomes(cluster, "stuck", "Init:Error");
    assert_eq!(cluster.field("pod/stuck", ".status.phase"), "Failed");
    let words = events(cluster, "ordered");
    has(&words, &format!("Successfully assigned default/ordered to {}", "node-1"));
    has(&words, &format!("Container image \"{IMAGE}\" already present on machine"));
    for part in ["Scheduled", "Pulled", "Created", "Started"] {
        has(&words, part);
    }
    cluster.kubectl("delete pod ordered with-side stuck --now");
}

fn probes(cluster: &Cluster) {
    let probe = |how: Value| with(json!({"periodSeconds": 1, "failureThreshold": 2}), how);
    let web = json!({"name": "main", "image": "shipmate.local/web:1.0"});
    let http = |path: &str| probe(json!({"httpGet": {"path": path, "port": 8080}}));
    let file = |path: &str| probe(json!({"exec": {"command": ["cat", path]}}));
    let sick = json!({"env": [{"name": "UNHEALTHY_AFTER", "value": "3"}], "livenessProbe": http("/healthz")});
    let slow = json!({
        "env": [{"name": "STARTUP_DELAY", "value": "4"}],
        "startupProbe": with(http("/healthz"), json!({"failureThreshold": 30})),
        "livenessProbe": with(probe(json!({"tcpSocket": {"port": 8080}})), json!({"failureThreshold": 1})),
    });
    cluster.apply_all(&[
        pod("moody", &[with(shell("main", "exec sleep 1000"), json!({"readinessProbe": file("/tmp/ready")}))]),
        pod("sick", &[with(web.clone(), sick)]),
        pod("slow", &[with(web, slow)]),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "moody"},
            "spec": {"selector": {"app": "moody"}, "ports": [{"port": 80}]},
        }),
    ]);
    let endpoints = || cluster.kubectl("get endpoints moody -o 'jsonpath={.subsets[*].addresses[*].ip}'");
    cluster.wait("--for=jsonpath={.status.phase}=Running pod/moody");
    assert_eq!((status(cluster, "moody", "READY").as_str(), endpoints().as_str()), ("0/1", ""));
    until("Readiness probe failed: cat: ", || events(cluster, "moody"));
    cluster.kubectl("exec moody -- touch /tmp/ready");
    cluster.ready("pod/moody");
    let ip = cluster.field("pod/moody", ".status.podIP");
    until(&ip, endpoints);
    cluster.kubectl("exec moody -- rm /tmp/ready");
    cluster.wait("--for=condition=Ready=false pod/moody");
    eventually("no endpoints", PATIENCE, || endpoints().is_empty().then_some(()));

    eventually("a restart", PATIENCE, || (status(cluster, "sick", "RESTARTS") != "0").then_some(()));
    let words = events(cluster, "sick");
    has(&words, "Liveness probe failed: HTTP probe failed with statuscode: 500");
    has(&words, "Container main failed liveness probe, will be restarted");
    cluster.ready("pod/slow");
    assert_eq!(status(cluster, "slow", "RESTARTS"), "0");
    has(&events(cluster, "slow"), "Startup probe failed: ");
    cluster.kubectl("delete pod moody sick slow --now");
    cluster.kubectl("delete service moody");
}

fn hooks(cluster: &Cluster) {
    let notes = cluster.dir().join("notes");
    let volumes = json!([{"name": "notes", "hostPath": {"path": notes, "type": "DirectoryOrCreate"}}]);
    let run = |script: &str| json!({"exec": {"command": ["sh", "-c", script]}});
    let hooked = json!({
        "volumeMounts": [{"name": "notes", "mountPath": "/notes"}],
        "lifecycle": {"postStart": run("echo begun > /notes/begun"), "preStop": run("echo ending > /notes/ending")},
    });
    let failing = json!({"lifecycle": {"postStart": run("exit 9")}});
    cluster.apply_all(&[
        spec("hooked", &[with(shell("main", "exec sleep 1000"), hooked)], json!({"volumes": volumes})),
        pod("misled", &[with(shell("main", "exec sleep 1000"), failing)]),
    ]);
    cluster.ready("pod/hooked");
    assert_eq!(std::fs::read_to_string(notes.join("begun")).unwrap(), "begun\n");
    cluster.kubectl("delete pod hooked");
    assert_eq!(std::fs::read_to_string(notes.join("ending")).unwrap(), "ending\n");
    until("FailedPostStartHook", || events(cluster, "misled"));
    cluster.kubectl("delete pod misled --now");
}

fn endings(cluster: &Cluster) {
    let never = json!({"restartPolicy": "Never"});
    let said = with(shell("main", "echo because > /dev/termination-log; exit 3"), json!({}));
    let logged =
        with(shell("main", "echo a last word; exit 4"), json!({"terminationMessagePolicy": "FallbackToLogsOnError"}));
    cluster.apply_all(&[
        spec("failed", &[said], never.clone()),
        spec("spoken", &[logged], never.clone()),
        spec("done", &[shell("main", "true")], json!({"restartPolicy": "OnFailure"})),
        spec("half", &[shell("bad", "exit 1"), shell("good", "true")], never),
    ]);
    becomes(cluster, "failed", "Error");
    let ended = |pod: &str, field: &str| {
        cluster.field(&format!("pod/{pod}"), &format!(".status.containerStatuses[0].state.terminated.{field}"))
    };
    assert_eq!((ended("failed", "exitCode").as_str(), ended("failed", "reason").as_str()), ("3", "Error"));
    assert_eq!(ended("failed", "message"), "because");
    becomes(cluster, "spoken", "Error");
    assert_eq!(ended("spoken", "message"), "a last word");
    becomes(cluster, "done", "Completed");
    assert_eq!(cluster.field("pod/done", ".status.phase"), "Succeeded");
    becomes(cluster, "half", "Error");
    assert_eq!(cluster.field("pod/half", ".status.phase"), "Failed");
    cluster.kubectl("delete pod failed spoken done half --now");
}

fn limits(cluster: &Cluster) {
    let limited = json!({"resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "32Mi", "cpu": "500m"}}});
    let hungry = shell("main", "exec tail /dev/zero");
    cluster.apply_all(&[
        pod("limited", &[with(shell("main", "exec sleep 1000"), limited.clone())]),
        spec("hungry", &[with(hungry, limited)], json!({"restartPolicy": "Never"})),
    ]);
    cluster.ready("pod/limited");
    let memory = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes";
    assert_eq!(cluster.kubectl(&format!("exec limited -- sh -c '{memory}'")), "33554432");
    let quota = "cat /sys/fs/cgroup/cpu.max 2>/dev/null || cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us";
    has(&cluster.kubectl(&format!("exec limited -- sh -c '{quota}'")), "50000");
    assert_eq!(cluster.field("pod/limited", ".status.qosClass"), "Burstable");
    becomes(cluster, "hungry", "OOMKilled");
    assert_eq!(cluster.field("pod/hungry", ".status.containerStatuses[0].state.terminated.exitCode"), "137");
    cluster.kubectl("delete pod limited hungry --now");
}

fn images_begin(cluster: &Cluster) {
    let image = |name: &str, image: &str, policy: &str| {
        pod(name, &[json!({"name": "main", "image": image, "imagePullPolicy": policy})])
    };
    cluster.apply_all(&[
        image("absent", "registry.invalid/none:1", "IfNotPresent"),
        image("forbidden", "registry.invalid/none:1", "Never"),
        image("misnamed", "UPPER:1", "IfNotPresent"),
    ]);
}

fn images(cluster: &Cluster) {
    let words = until("Back-off pulling image \"registry.invalid/none:1\"", || events(cluster, "absent"));
    has(&words, "Pulling image \"registry.invalid/none:1\"");
    has(&words, "Failed to pull image \"registry.invalid/none:1\": ");
    has(&words, "Error: ErrImagePull");
    until("ImagePull", || status(cluster, "absent", "STATUS"));
    becomes(cluster, "forbidden", "ErrImageNeverPull");
    has(&events(cluster, "forbidden"), "is not present with pull policy of Never");
    becomes(cluster, "misnamed", "InvalidImageName");
    has(&events(cluster, "misnamed"), "Failed to apply default image tag \"UPPER:1\"");
    cluster.kubectl("delete pod absent forbidden misnamed --now");
}

fn back_off_begins(cluster: &Cluster) {
    let lost = with(shell("main", "true"), json!({"command": ["/no/such/program"]}));
    cluster.apply_all(&[pod("crashing", &[shell("main", "echo oops; exit 1")]), pod("lost", &[lost])]);
}

fn back_off(cluster: &Cluster) {
    becomes(cluster, "crashing", "CrashLoopBackOff");
    let words =
        until("Back-off restarting failed container main in pod crashing_default(", || events(cluster, "crashing"));
    lacks(&words, "FailedScheduling");
    let waiting = cluster.field("pod/crashing", ".status.containerStatuses[0].state.waiting.message");
    has(&waiting, "restarting failed container=main pod=crashing_default(");
    let failed = until("/no/such/program", || {
        cluster.field("pod/lost", ".status.containerStatuses[0].lastState.terminated.message")
            + &cluster.field("pod/lost", ".status.containerStatuses[0].state.terminated.message")
    });
    has(&failed, "no such file or directory");
    cluster.kubectl("delete pod crashing lost --now");
}

fn grace(cluster: &Cluster) {
    let deaf = shell("main", "trap '' TERM; while true; do sleep 1; done");
    let polite = shell("main", "trap 'exit 0' TERM; while true; do sleep 1; done");
    cluster.apply_all(&[
        spec("deaf", std::slice::from_ref(&deaf), json!({"terminationGracePeriodSeconds": 3})),
        spec("deafer", &[deaf], json!({"terminationGracePeriodSeconds": 600})),
        spec("polite", &[polite], json!({"terminationGracePeriodSeconds": 600})),
    ]);
    cluster.ready("pod/deaf pod/deafer pod/polite");
    let began = std::time::Instant::now();
    cluster.kubectl("delete pod polite");
    assert!(began.elapsed() < PATIENCE, "it ended when it was asked to");
    let began = std::time::Instant::now();
    cluster.kubectl("delete pod deaf");
    assert!(began.elapsed() >= Duration::from_secs(3), "it had its grace period");
    cluster.kubectl("delete pod deafer --wait=false --grace-period=500");
    assert_eq!(cluster.field("pod/deafer", ".metadata.deletionGracePeriodSeconds"), "500");
    becomes(cluster, "deafer", "Terminating");
    has(&events(cluster, "deafer"), "Stopping container main");
    let forced = cluster.answer("delete pod deafer --grace-period=0 --force");
    has(&forced.err, "Immediate deletion does not wait for confirmation");
    forced.ok();
    has(&cluster.refused("get pod deafer"), "not found");
}
