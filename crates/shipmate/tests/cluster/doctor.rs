//! The doctor on a live cluster: healthy, broken on one node, mended; with few rights, without an API.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{Cluster, has, lacks, until};

const WEB: &str = "shipmate.local/web:1.0";
const SECRET: &str = "hunter2-is-nobodys-business";

#[test]
fn a_cluster_is_looked_at() {
    let cluster = Cluster::start("doc", 2);
    cluster.kubectl(&format!("create deployment web --image={WEB} --replicas=2"));
    cluster.kubectl("expose deployment web --port 80 --target-port 8080");
    cluster.kubectl("rollout status deployment/web --timeout=60s");
    cluster.kubectl(&format!("create secret generic quiet --from-literal=password={SECRET}"));
    cluster.kubectl(&format!(
        "create secret docker-registry pull --docker-server=reg.example.com:5000 --docker-username=u --docker-password={SECRET}"
    ));
    healthy(&cluster);
    a_bundle_says_the_same_elsewhere(&cluster);
    subjects(&cluster);
    few_rights(&cluster);
    one_node_is_broken_and_mended(&cluster);
    what_is_gone_is_over(&cluster);
    one_node_is_away(&cluster);
    without_an_api(&cluster);
}

/// The report of a command line, which must end with this code.
#[track_caller]
fn report(cluster: &Cluster, line: &str, code: i32) -> Value {
    let answer = cluster.shipmate(&format!("{line} -o json"));
    assert_eq!(answer.code, code, "{answer}");
    serde_json::from_str(&answer.out).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

fn codes(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

/// Nothing is found, and everything was looked at.
fn healthy(cluster: &Cluster) {
    let report = report(cluster, "doctor", 0);
    let count = |what: &str| report["summary"][what].as_u64().unwrap();
    assert_eq!((count("errors"), count("warnings")), (0, 0), "{report:#}");
    assert_eq!(report["unchecked"].as_array().unwrap().len(), 0, "{report:#}");
    assert!(count("evidence") > 80, "{report:#}");
}

/// A bundle holds the evidence, and no secret.
fn a_bundle_says_the_same_elsewhere(cluster: &Cluster) {
    let bundle = cluster.dir().join("bundle.json");
    cluster.shipmate(&format!("doctor --save {}", bundle.display())).ok();
    let text = fs::read_to_string(&bundle).unwrap();
    lacks(&text, SECRET);
    let key = cluster.kubectl("config view --raw -o 'jsonpath={.users[0].user.client-key-data}'");
    assert!(key.len() > 100);
    lacks(&text, &key);
    for there in [
        "node-2 /etc/containerd/config.toml",
        "node-1: ctr plugins ls",
        "node-2: findmnt -T /var/lib/containerd",
        "runtime.v1: served",
        "kubectl get pods -A -o json",
        "reg.example.com:5000",
        "node-1 /etc/cni/net.d/10-shipmate.conflist",
        "notAfter=",
    ] {
        has(&text, there);
    }
    assert_eq!(codes(&report(cluster, &format!("doctor --from {}", bundle.display()), 0)), [""; 0]);
}

/// Parts of it.
fn subjects(cluster: &Cluster) {
    let pod = cluster.kubectl("get pods -o 'jsonpath={.items[0].metadata.name}'");
    report(cluster, &format!("doctor pod default/{pod}"), 0);
    report(cluster, "doctor node node-1", 0);
    report(cluster, "doctor kubeconfig", 0);
    has(&cluster.shipmate("doctor pod default/no-such").fails(2), "there is no pod default/no-such");
    has(&cluster.shipmate("doctor node no-such").fails(2), "there is no node no-such");
    // This machine's containerd and cgroups are whatever they are; that it was looked at is what counts.
    let upgrade = cluster.shipmate("doctor upgrade --to 1.39 -o json");
    let upgrade: Value = serde_json::from_str(&upgrade.out).unwrap();
    assert!(codes(&upgrade).contains(&"SM0808"), "two versions at once: {upgrade:#}");
}

/// Who may not list something learns what was not looked at.
fn few_rights(cluster: &Cluster) {
    cluster.kubectl("create serviceaccount viewer");
    cluster.kubectl("create clusterrole pods --verb=get,list --resource=pods");
    cluster.kubectl("create clusterrolebinding pods --clusterrole=pods --serviceaccount=default:viewer");
    let token = cluster.kubectl("create token viewer");
    let server = cluster.kubectl("config view --minify -o 'jsonpath={.clusters[0].cluster.server}'");
    let ca =
        cluster.kubectl("config view --raw --minify -o 'jsonpath={.clusters[0].cluster.certificate-authority-data}'");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: few\nclusters:\n- name: few\n  cluster: {{server: \"{server}\", \
         certificate-authority-data: {ca}}}\ncontexts:\n- name: few\n  context: {{cluster: few, user: few}}\nusers:\n- \
         name: few\n  user: {{token: {token}}}\n"
    );
    let file = cluster.write("few.kubeconfig", text);
    let report = report(cluster, &format!("doctor --kubeconfig {file}"), 0);
    let unchecked = report["unchecked"].to_string();
    for told in ["kubectl get secrets -A", "Forbidden", "kubectl get nodes"] {
        has(&unchecked, told);
    }
    lacks(&unchecked, "kubectl get pods -A");
}

/// A blank in one of two nodes' configuration is found at its place, and gone when it is mended.
fn one_node_is_broken_and_mended(cluster: &Cluster) {
    let config = cluster.home().join("clusters").join(&cluster.name).join("nodes/node-2/etc/containerd/config.toml");
    let before = fs::read_to_string(&config).unwrap();
    let mirror = "[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"reg.example.com:5000\"]\n  endpoint = [\" http://reg.example.com:5000\"]\n";
    // Mirrors and a config_path exclude each other.
    let broken = before.lines().filter(|line| !line.contains("config_path")).collect::<Vec<_>>().join("\n");
    fs::write(&config, format!("{broken}\n\n{mirror}")).unwrap();
    let report = report(cluster, "doctor", 1);
    assert_eq!(codes(&report).first(), Some(&"SM0101"), "{report:#}");
    has(&report["findings"][0]["place"].to_string(), "node-2");
    fs::write(&config, before).unwrap();
    healthy(cluster);
}

/// A pull that fails is told while a pod waits for it, and not afterwards, though the journal still has it.
fn what_is_gone_is_over(cluster: &Cluster) {
    cluster.kubectl("run lost --image=127.0.0.1:9/no/such:1");
    until("ErrImagePull", || cluster.kubectl("get events"));
    let report = report(cluster, "doctor", 1);
    assert_eq!(codes(&report).first(), Some(&"SM0133"), "{report:#}");
    cluster.kubectl("delete pod lost --now");
    healthy(cluster);
}

/// A node that can't be entered is told, and the other one is looked at.
fn one_node_is_away(cluster: &Cluster) {
    let node = cluster.home().join("clusters").join(&cluster.name).join("nodes/node-2");
    for part in ["node", "containerd", "holder"] {
        let pidfile = fs::read_to_string(node.join(format!("run/{part}.pid"))).unwrap();
        let pid = pidfile.split(|end: char| !end.is_ascii_digit()).find(|word| !word.is_empty()).unwrap();
        kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL).unwrap();
    }
    let answer = cluster.shipmate("doctor node --all -o json");
    let report: Value = serde_json::from_str(&answer.out).unwrap_or_else(|error| panic!("{error}: {answer}"));
    has(&report["unchecked"].to_string(), "node node-2 can't be reached: it does not run");
    assert!(report["summary"]["evidence"].as_u64().unwrap() > 40, "{report:#}");
    cluster.shipmate(&format!("start --name {}", cluster.name)).ok();
    cluster.wait("--for=condition=Ready node --all");
}

/// Without an API server it could not look, and says so; the nodes were looked at all the same.
fn without_an_api(cluster: &Cluster) {
    let status = cluster.shipmate(&format!("status --name {} -o json", cluster.name)).ok();
    let status: Value = serde_json::from_str(&status).unwrap();
    let server = Pid::from_raw(i32::try_from(status["server"]["pid"].as_i64().unwrap()).unwrap());
    kill(server, Signal::SIGKILL).unwrap();
    let answer = cluster.shipmate("doctor -o json");
    assert!(answer.code != 0, "{answer}");
    has(&answer.to_string(), "refused");
    cluster.shipmate(&format!("start --name {}", cluster.name)).ok();
}
