//! Clusters that are stopped, killed, started again, deleted; and those that can't start at all.

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{Cluster, PATIENCE, Place, eventually, has, lacks};

const WEB: &str = "shipmate.local/web:1.0";

#[test]
fn whatever_is_killed_comes_back() {
    let cluster = Cluster::start("life", 1);
    cluster.kubectl(&format!("create deployment web --image={WEB} --replicas=2"));
    cluster.kubectl("rollout status deployment/web --timeout=60s");
    cluster.kubectl("create configmap kept --from-literal=a=b");
    let before = cluster.kubectl("get pods -o 'jsonpath={.items[*].metadata.uid}'");
    for part in ["server", "node", "containerd"] {
        kill_part(&cluster, part);
        start(&cluster);
        cluster.ready("pod --all");
        assert_eq!(cluster.kubectl("get pods -o 'jsonpath={.items[*].metadata.uid}'"), before, "after killing {part}");
        assert_eq!(
            cluster.kubectl("get pods -o 'jsonpath={.items[*].status.containerStatuses[*].restartCount}'"),
            "0 0"
        );
        assert_eq!(web_processes(&cluster), 2, "containers run once after killing {part}");
    }
    has(&cluster.kubectl("get configmap kept -o 'jsonpath={.data.a}'"), "b");

    cluster.shipmate(&format!("stop --name {}", cluster.name)).ok();
    assert_eq!(web_processes(&cluster), 0);
    has(&cluster.shipmate(&format!("kubectl --name {} -- get pods", cluster.name)).fails(3), "is not running");
    start(&cluster);
    cluster.ready("pod --all");
    assert_eq!(cluster.kubectl("get pods -o 'jsonpath={.items[*].metadata.uid}'"), before);
    has(&cluster.kubectl("get configmap kept -o 'jsonpath={.data.a}'"), "b");
    has(&cluster.kubectl("get endpointslices"), "10.");
}

fn start(cluster: &Cluster) {
    cluster.shipmate(&format!("start --name {}", cluster.name)).ok();
}

fn status(cluster: &Cluster) -> Value {
    let text = cluster.shipmate(&format!("status --name {} -o json", cluster.name)).ok();
    serde_json::from_str(&text).unwrap()
}

fn kill_part(cluster: &Cluster, part: &str) {
    let status = status(cluster);
    let pid = match part {
        "server" => &status["server"]["pid"],
        "node" => &status["nodes"][0]["pid"],
        _ => &status["nodes"][0]["containerdPid"],
    };
    let pid = Pid::from_raw(i32::try_from(pid.as_i64().unwrap()).unwrap());
    kill(pid, Signal::SIGKILL).unwrap();
    eventually("the killed process is gone", PATIENCE, || kill(pid, None).is_err().then_some(()));
}

/// Processes of the sample application in the cluster's pods.
fn web_processes(cluster: &Cluster) -> usize {
    let group = format!("kubepods-{}-", cluster.name);
    let processes =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.path().into_os_string().into_string().ok());
    processes
        .filter(|process| {
            let read = |file: &str| std::fs::read_to_string(format!("{process}/{file}")).unwrap_or_default();
            read("cgroup").contains(&group) && read("cmdline").contains("/bin/web")
        })
        .count()
}

#[test]
fn clusters_live_side_by_side_and_the_kubeconfig_stays_the_users() {
    let place = Place::new("side");
    let (one, other) = (place.name("1"), place.name("2"));
    let mine = "# mine\napiVersion: v1\nkind: Config\ncurrent-context: work\nclusters:\n- {name: work, cluster: {server: 'https://192.0.2.1:6443'}}\ncontexts:\n- name: work   # the real one\n  context: {cluster: work, user: me}\nusers: []\nfuture: {field: 1}\n";
    let kubeconfig = place.write("kubeconfig", mine);
    for name in [&one, &other] {
        place.shipmate(&format!("start --name {name} --nodes simulated:1")).ok();
    }
    let listed = place.shipmate("status -o json").ok();
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    for name in [&one, &other] {
        let nodes = place.shipmate(&format!("kubectl --name {name} -- get nodes -o name")).ok();
        assert_eq!(nodes.trim(), format!("node/{name}-sim-1"));
        has(&std::fs::read_to_string(&kubeconfig).unwrap(), name);
    }
    has(&place.shipmate(&format!("start --name {one} --nodes simulated:2")).fails(1), "can't be changed");
    place.shipmate(&format!("delete --name {one}")).ok();
    lacks(&place.shipmate("status").ok(), &one);
    has(&place.shipmate(&format!("delete --name {one}")).fails(3), "there is no cluster");
    place.shipmate("delete --all").ok();
    assert_eq!(place.shipmate("status -o json").ok().trim(), "[]");
    assert_eq!(std::fs::read_to_string(&kubeconfig).unwrap(), mine, "not a byte has changed");
}

#[test]
fn what_keeps_a_cluster_from_starting_is_said() {
    let place = Place::new("not");
    let name = place.name("");
    has(&place.shipmate("start --name 'Not a name'").fails(1), "is not a valid name");
    has(&place.shipmate("start --nodes none").fails(1), "makes no sense");
    place.shipmate("start --what").fails(2);
    place.shipmate(&format!("stop --name {name}")).fails(3);
    has(&place.shipmate("completions bash").ok(), "shipmate");

    // Somebody who is not root, with a home of their own.
    let home = place.dir().join("nobody");
    std::fs::create_dir(&home).unwrap();
    run(Command::new("chown").arg("nobody").arg(&home));
    run(Command::new("chmod").arg("755").arg(place.dir()));
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=nobody", "--clear-groups", env!("CARGO_BIN_EXE_shipmate"), "start", "--name", &name])
        .env("SHIPMATE_HOME", &home)
        .env("KUBECONFIG", home.join("config"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    has(&String::from_utf8_lossy(&output.stderr), "root");

    // A taken port.
    place.shipmate(&format!("start --name {name} --nodes simulated:1")).ok();
    let status: Value = serde_json::from_str(&place.shipmate(&format!("status --name {name} -o json")).ok()).unwrap();
    place.shipmate(&format!("stop --name {name}")).ok();
    let port = status["server"]["url"].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned();
    let taken = std::net::TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
    has(&place.shipmate(&format!("start --name {name}")).fails(1), &port);
    drop(taken);
    place.shipmate(&format!("start --name {name}")).ok();
    place.shipmate(&format!("delete --name {name}")).ok();
}

#[test]
fn what_the_machine_lacks_is_said_before_anything_is_made() {
    let place = Place::new("lacks");
    let name = place.name("");
    let start = |home: &std::path::Path, path: Option<&str>| {
        let mut command = place.command(env!("CARGO_BIN_EXE_shipmate"));
        command.args(["start", "--name", &name]).env("SHIPMATE_HOME", home);
        if let Some(path) = path {
            command.env("PATH", path);
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = start(&place.home(), Some("/nowhere"));
    has(&said, "containerd");
    has(&said, "apt-get install");
    assert!(!place.home().join("clusters").join(&name).exists());

    let small = place.dir().join("small");
    std::fs::create_dir(&small).unwrap();
    let at = small.to_str().unwrap();
    run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs", at]));
    let said = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| start(&small, None)));
    run(Command::new("umount").arg(at));
    let said = said.unwrap();
    has(&said, "MiB are free in");
    has(&said, "SHIPMATE_HOME");
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}
