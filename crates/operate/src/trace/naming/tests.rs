//! Who is named, and who is not: addresses that are used again, entries that are gone, nodes' own addresses.

use std::collections::{BTreeSet, HashMap, HashSet};

use doctor::read::conntrack::Tuple;
use serde_json::{Value, json};

use super::*;
use crate::trace::flows::NodeFlows;
use crate::trace::pods::GONE;
use crate::trace::sockets::Process;
use crate::trace::workloads::Workloads;

const BEGAN: &str = "2026-05-01T10:00:00Z";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(seconds: i64) -> i64 {
    BEGAN.parse::<jiff::Timestamp>().unwrap().as_second() + seconds
}

fn flow(node: &str, from: &str, port: u16, server: &str, seen: u16) -> Flow {
    Flow {
        node: node.to_owned(),
        state: "ESTABLISHED".to_owned(),
        original: Tuple { source: ip(from), source_port: port, destination: ip(server), destination_port: 5432 },
        reply: Tuple { source: ip(server), source_port: 5432, destination: ip("10.9.0.5"), destination_port: seen },
        began: None,
        recorded: false,
    }
}

/// A pod of n1 that began `since` seconds after [`BEGAN`].
fn pod(name: &str, address: &str, since: i64) -> Value {
    let started = jiff::Timestamp::from_second(at(since)).unwrap().to_string();
    json!({"metadata": {"namespace": "shop", "name": name, "uid": format!("uid-{name}")},
        "spec": {"nodeName": "n1", "containers": [{"name": "main"}]},
        "status": {"podIP": address, "hostIP": "10.9.0.5", "startTime": started}})
}

fn host_pod(name: &str) -> Value {
    let mut pod = pod(name, "10.9.0.5", 0);
    pod["spec"]["hostNetwork"] = true.into();
    pod
}

fn cluster(pods: &[Value], flows: Vec<Flow>) -> Cluster {
    let node = json!({"metadata": {"name": "n1"}, "spec": {"podCIDRs": ["10.1.0.0/24", "fd00:1::/64"]},
        "status": {"addresses": [{"address": "10.9.0.5"}]}});
    let mut cluster = Cluster::of(pods, &[node], Workloads::default());
    let ends: HashSet<End> = (600..610).map(|port| (ip("10.9.0.5"), port)).collect();
    cluster.add_flows(vec![NodeFlows { node: "n1".to_owned(), flows, ..NodeFlows::default() }], &ends);
    cluster
}

fn server(addresses: &[&str]) -> Server {
    Server { addresses: addresses.iter().map(|one| ip(one)).collect(), ports: vec![5432] }
}

fn words(who: &Who) -> String {
    match who {
        Who::Pod { pod, socket, gone, .. } => {
            format!("{pod} {}{}", socket.clone().unwrap_or_default(), if *gone { " gone" } else { "" })
        }
        Who::Host { node, candidates, process } => {
            format!("{node} {}{}", candidates.join(","), process.clone().unwrap_or_default())
        }
        Who::Unknown { reason, candidates } => format!("{reason} [{}]", candidates.join(",")),
        other => format!("{other:?}"),
    }
}

fn who(cluster: &Cluster, client: &str, port: u16, since: Option<i64>) -> String {
    words(&cluster.who(&Seen { client: (ip(client), port), since: since.map(at) }, &server(&["192.0.2.1"])))
}

#[test]
fn pods_behind_a_node_and_pods_of_the_nodes_own_network() {
    let flows = vec![
        flow("n1", "10.1.0.6", 40000, "192.0.2.1", 600),
        flow("n1", "10.9.0.5", 601, "192.0.2.1", 601),
        flow("n1", "10.1.0.6", 1, "192.0.2.1", 999),
    ];
    let mut cluster = cluster(&[pod("a", "10.1.0.6", -900), host_pod("agent")], flows);
    assert_eq!(who(&cluster, "10.9.0.5", 600, Some(0)), "a 10.1.0.6:40000");
    assert_eq!(who(&cluster, "10.9.0.5", 601, Some(0)), "n1 shop/agent");
    // Not seen by the server, so not kept.
    assert!(who(&cluster, "10.9.0.5", 999, Some(0)).contains("no entry for it"));
    // Without translation there is nothing to look up.
    assert_eq!(who(&cluster, "10.1.0.6", 77, Some(0)), "a 10.1.0.6:77");
    assert_eq!(who(&cluster, "203.0.113.9", 1, None), r#"Outside { address: "203.0.113.9" }"#);
    let process = |pod: Option<&str>| Process {
        pid: 9,
        name: "agentd".to_owned(),
        pod: pod.map(str::to_owned),
        ..Process::default()
    };
    cluster.add_processes("n1", HashMap::from([((ip("10.9.0.5"), 601), process(Some("uid-agent")))]));
    assert_eq!(who(&cluster, "10.9.0.5", 601, Some(0)), "agent 10.9.0.5:601");
    cluster.add_processes("n1", HashMap::from([((ip("10.9.0.5"), 601), process(None))]));
    assert_eq!(who(&cluster, "10.9.0.5", 601, Some(0)), "n1 agentd (9)");
}

#[test]
fn an_address_that_is_used_again_names_nobody_wrong() {
    let mut old = pod("old", "10.1.0.6", -900);
    let flows = || vec![flow("n1", "10.1.0.6", 40000, "192.0.2.1", 600)];
    let new = || pod("new", "10.1.0.6", 100);
    let only_new = cluster(&[new()], flows());
    // Long before the pod that has the address now began, and long after.
    assert!(who(&only_new, "10.9.0.5", 600, Some(0)).contains("is gone: now shop/new has it"));
    assert_eq!(who(&only_new, "10.9.0.5", 600, Some(500)), "new 10.1.0.6:40000");
    // A second before: clocks can't tell.
    assert!(who(&only_new, "10.9.0.5", 600, Some(99)).contains("at about the time"));
    // Remembered from an earlier look; that it was gone was noticed late.
    old[GONE] = at(130).into();
    let both = cluster(&[old.clone(), new()], flows());
    assert_eq!(who(&both, "10.9.0.5", 600, Some(0)), "old 10.1.0.6:40000 gone");
    assert_eq!(who(&both, "10.9.0.5", 600, Some(120)), "new 10.1.0.6:40000");
    assert!(who(&both, "10.9.0.5", 600, Some(101)).contains("went from one pod to another"));
    assert!(who(&both, "10.9.0.5", 600, Some(-5000)).contains("is gone"));
    // The same for a pod whose address is not translated.
    assert_eq!(who(&both, "10.1.0.6", 7, Some(0)), "old 10.1.0.6:7 gone");
}

#[test]
fn where_times_are_close_the_pods_own_sockets_decide() {
    let pods = [pod("new", "10.1.0.6", 100)];
    let flows = || vec![flow("n1", "10.1.0.6", 40000, "192.0.2.1", 600)];
    let seen = |since: Option<i64>| Seen { client: (ip("10.9.0.5"), 600), since: since.map(at) };
    let asked = |since| {
        let questions = cluster(&pods, flows()).questions(&[(seen(since), server(&["192.0.2.1"]))]);
        questions.pods.get("n1").cloned().unwrap_or_default()
    };
    assert_eq!(asked(Some(99)), BTreeSet::from(["uid-new".to_owned()]));
    assert_eq!(asked(None), BTreeSet::from(["uid-new".to_owned()]));
    assert_eq!(asked(Some(500)), BTreeSet::new());
    let with = |sockets: Sockets, since| {
        let mut cluster = cluster(&pods, flows());
        cluster.add_sockets(HashMap::from([("uid-new".to_owned(), sockets)]));
        words(&cluster.who(&seen(since), &server(&["192.0.2.1"])))
    };
    let own = || Sockets::from([((ip("10.1.0.6"), 40000), (ip("192.0.2.1"), 5432))]);
    assert_eq!(with(own(), Some(99)), "new 10.1.0.6:40000");
    assert_eq!(with(own(), None), "new 10.1.0.6:40000");
    for since in [Some(99), Some(101), None] {
        assert!(with(Sockets::new(), since).contains("is gone: now shop/new has it"), "{since:?}");
    }
    // The kernel's own time of the entry counts more than the server's clock.
    let mut dated = flows();
    dated[0].began = Some(at(300));
    assert_eq!(who(&cluster(&pods, dated), "10.9.0.5", 600, Some(0)), "new 10.1.0.6:40000");
}

#[test]
fn virtual_machines_are_not_asked_for_sockets() {
    let mut pod = pod("vm", "10.1.0.6", 0);
    pod["spec"]["runtimeClassName"] = "kata".into();
    let cluster = cluster(&[pod], vec![flow("n1", "10.1.0.6", 40000, "192.0.2.1", 600)]);
    let seen = Seen { client: (ip("10.9.0.5"), 600), since: None };
    assert!(cluster.questions(&[(seen, server(&["192.0.2.1"]))]).pods.is_empty());
    assert_eq!(who(&cluster, "10.9.0.5", 600, None), "vm 10.1.0.6:40000");
}

#[test]
fn finished_pods_name_what_they_left() {
    let mut done = pod("done", "10.1.0.6", 0);
    done["status"]["phase"] = "Succeeded".into();
    let ended = jiff::Timestamp::from_second(at(50)).unwrap().to_string();
    done["status"]["containerStatuses"] = json!([{"name": "main", "state": {"terminated": {"finishedAt": ended}}}]);
    let cluster = cluster(&[done], vec![flow("n1", "10.1.0.6", 40000, "192.0.2.1", 600)]);
    assert_eq!(who(&cluster, "10.9.0.5", 600, Some(10)), "done 10.1.0.6:40000 gone");
    assert!(who(&cluster, "10.9.0.5", 600, Some(100)).contains("is gone"));
    assert!(who(&cluster, "10.9.0.5", 600, None).contains("is gone"));
}

#[test]
fn what_no_entry_tells_leaves_what_pods_themselves_have() {
    let mut cluster = cluster(
        &[pod("a", "10.1.0.6", -900), pod("b", "10.1.0.7", -900)],
        vec![flow("n1", "10.1.0.6", 40000, "192.0.2.1", 600)],
    );
    let seen = Seen { client: (ip("10.9.0.5"), 601), since: Some(at(0)) };
    let questions = cluster.questions(&[(seen, server(&["192.0.2.1"]))]);
    assert_eq!(questions.pods["n1"], BTreeSet::from(["uid-a".to_owned(), "uid-b".to_owned()]));
    assert_eq!(questions.ends["n1"], [(ip("10.9.0.5"), 601)]);
    let to = (ip("192.0.2.1"), 5432);
    cluster.add_sockets(HashMap::from([
        ("uid-a".to_owned(), Sockets::from([((ip("10.1.0.6"), 40000), to)])),
        (
            "uid-b".to_owned(),
            Sockets::from([((ip("10.1.0.7"), 50000), to), ((ip("10.1.0.7"), 2), (ip("192.0.2.8"), 80))]),
        ),
    ]));
    let told = who(&cluster, "10.9.0.5", 601, Some(0));
    assert!(
        told.contains("nf_conntrack_tcp_timeout_established") && told.ends_with("[shop/b from 10.1.0.7:50000]"),
        "{told}"
    );
}

#[test]
fn addresses_of_a_nodes_pod_network_that_no_pod_has() {
    let mut cluster = cluster(&[], Vec::new());
    assert!(who(&cluster, "10.1.0.77", 5, Some(0)).contains("of the pod network of node n1"));
    assert!(who(&cluster, "fd00:1::77", 5, Some(0)).contains("of the pod network of node n1"));
    // The bridge of the node's pods: a process of the node.
    let process = Process { pid: 4, name: "kubelet".to_owned(), ..Process::default() };
    cluster.add_processes("n1", HashMap::from([((ip("10.1.0.1"), 5), process)]));
    assert_eq!(who(&cluster, "10.1.0.1", 5, Some(0)), "n1 kubelet (4)");
}

#[test]
fn what_was_not_read_is_said() {
    let mut cluster = cluster(&[pod("a", "10.1.0.6", 0)], Vec::new());
    let failed = Some("it is away".to_owned());
    cluster.add_flows(vec![NodeFlows { node: "n1".to_owned(), failed, ..NodeFlows::default() }], &HashSet::new());
    assert!(who(&cluster, "10.9.0.5", 600, Some(0)).contains("it is away"));
}

#[test]
fn another_servers_entry_is_not_taken_for_this_ones() {
    let pods = [pod("a", "10.1.0.6", -900)];
    let flows = || vec![flow("n1", "10.1.0.6", 40000, "192.0.2.8", 600)];
    let told = who(&cluster(&pods, flows()), "10.9.0.5", 600, Some(0));
    assert!(told.contains("a server at 192.0.2.8") && told.contains("--server 192.0.2.8"), "{told}");
    let seen = Seen { client: (ip("10.9.0.5"), 600), since: Some(at(0)) };
    let both = server(&["192.0.2.1", "192.0.2.8"]);
    assert_eq!(words(&cluster(&pods, flows()).who(&seen, &both)), "a 10.1.0.6:40000");
    assert_eq!(words(&cluster(&pods, flows()).who(&seen, &server(&[]))), "a 10.1.0.6:40000");
}
