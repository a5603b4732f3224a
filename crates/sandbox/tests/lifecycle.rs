//! Two nodes with real containerds on this machine, as root.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is not as it should be")]

mod support;

use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use sandbox::node::Node;
use sandbox::{NewNodes, Sandbox, images};
use support::{Fixture, inside, output, wait};

/// Held by each test: a port that one has chosen is free while its server is killed, and the next would choose it too.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn nodes_reach_each_other_and_nothing_is_left_after_deletion() {
    let _alone = alone();
    let Some(fixture) = Fixture::new("life") else { return };
    let (launch, web) = (fixture.launch(), fixture.web());
    assert_eq!(fixture.traces(), Vec::<String>::new());
    let forwarding = fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
    let host_dirs =
        || ["/run/netns", "/var/lib/cni", "/var/lib/kubelet", "/var/log/pods"].map(|dir| fs::exists(dir).unwrap());
    // Clusters of others on this machine, or what a killed test left, decide about these.
    let alone = sandbox_bridges().is_empty() && !fs::exists("/var/lib/shipmate/machine.json").unwrap();
    let before = host_dirs();

    let sandbox = fixture.create(2);
    sandbox.ensure_running(&launch).unwrap();
    assert!(sandbox.cluster().status().complete());
    sandbox.write_kubeconfig(&[fixture.kubeconfig()]).unwrap();
    let network = sandbox.cluster().config().network().unwrap().clone();
    let nodes = sandbox.cluster().nodes();
    let ips: Vec<_> = nodes.iter().map(|node| network.node_ip(node.config())).collect();

    // Every node: its own name, its own kubelet, the other one, and the server.
    for (node, other) in [(&nodes[0], 1), (&nodes[1], 0)] {
        let get = |url: String| inside(node, &web, &["get", &url]);
        assert_eq!(get("http://127.0.0.1:10250/hostname".to_owned()).trim(), node.config().name.as_str());
        let name = nodes[other].config().name.as_str();
        wait("the other kubelet", || get(format!("http://{}:10250/hostname", ips[other])).trim() == name);
        get(format!("http://{}:{}/healthz", network.gateway(), sandbox.cluster().config().api_port));
        assert!(
            inside(node, &web, &["cat", "/etc/hosts"]).contains(name)
                || inside(node, &web, &["cat", "/etc/hostname"]).contains("node-")
        );
    }
    for node in &nodes {
        let listed =
            output("ctr", &["-a", node.dir().cri_socket().to_str().unwrap(), "-n", "k8s.io", "images", "ls", "-q"]);
        for reference in images::built_in_references() {
            assert!(listed.lines().any(|line| line == reference), "{reference} in {listed}");
        }
    }

    // Repeating changes nothing; every part alone can be killed and comes back.
    let status = sandbox.cluster().status();
    sandbox.ensure_running(&launch).unwrap();
    assert_eq!(sandbox.cluster().status(), status);
    let victims = [
        status.server.clone().unwrap(),
        status.nodes[0].containerd.clone().unwrap(),
        status.nodes[0].kubelet.clone().unwrap(),
        sandbox::process::ProcessId::running(&nodes[0].dir().pidfile("holder")).unwrap(),
    ];
    for victim in victims {
        victim.signal(Signal::SIGKILL);
        wait("the end of a killed process", || !victim.alive());
        sandbox.ensure_running(&launch).unwrap();
        assert!(sandbox.cluster().status().complete());
    }
    assert_eq!(sandbox.cluster().status().nodes[1], status.nodes[1]);
    output("ip", &["link", "del", &sandbox::network::Names::new(&fixture.name).bridge()]);
    output("nft", &["delete", "table", "ip", &format!("shipmate-{}", fixture.name)]);
    sandbox.ensure_running(&launch).unwrap();
    assert!(inside(&nodes[0], &web, &["get", &format!("http://{}:10250/hostname", ips[1])]).contains("node-2"));

    sandbox.stop(Duration::from_secs(5)).unwrap();
    assert!(sandbox.cluster().status().stopped());
    drop(sandbox);
    let sandbox = fixture.open().unwrap();
    sandbox.ensure_running(&launch).unwrap();
    assert!(sandbox.cluster().status().complete());

    sandbox.delete(&[fixture.kubeconfig()]).unwrap();
    assert_eq!(fixture.traces(), Vec::<String>::new());
    if alone {
        assert_eq!(host_dirs(), before);
        assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap(), forwarding);
    }
    assert!(fixture.open().is_none());
}

#[test]
fn pods_run_in_their_node_and_go_with_it() {
    let _alone = alone();
    let Some(fixture) = Fixture::new("pods") else { return };
    let (launch, web) = (fixture.launch(), fixture.web());
    let sandbox = fixture.create(2);
    sandbox.ensure_running(&launch).unwrap();
    let nodes = sandbox.cluster().nodes();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let pods: Vec<Pod> = nodes.iter().map(|node| runtime.block_on(run_pod(node))).collect();

    // From each node to the pods of both, and between the pods: with the pod's own address.
    for node in &nodes {
        for pod in &pods {
            let url = format!("http://{}:8080/hostname", pod.ip);
            wait("the pod", || inside_ok(node, &web, &["get", &url]));
        }
    }
    let reached = runtime.block_on(exec(
        &nodes[0],
        &pods[0],
        &["/bin/web", "get", &format!("http://{}:8080/version", pods[1].ip)],
    ));
    assert_eq!(reached.trim(), "1.0");
    let log = fs::read_to_string(nodes[1].dir().private("/var/log/pods").join("web.log")).unwrap();
    assert!(log.contains(&format!("{} GET /version 200", pods[0].ip)), "{log}");
    // A pod reaches the host, and without a service proxy with its own address.
    let gateway = sandbox.cluster().config().network().unwrap().gateway();
    let url = format!("http://{gateway}:{}/healthz", sandbox.cluster().config().api_port);
    runtime.block_on(exec(&nodes[1], &pods[1], &["/bin/web", "get", &url]));
    let server_log = fs::read_to_string(sandbox.cluster().dir().log("server")).unwrap();
    assert!(server_log.contains(&format!("{} GET /healthz 200", pods[1].ip)), "{server_log}");

    // Pods outlive containerd and the holder.
    for name in ["containerd", "holder"] {
        let process = sandbox::process::ProcessId::running(&nodes[0].dir().pidfile(name)).unwrap();
        process.signal(Signal::SIGKILL);
        wait("its end", || !process.alive());
    }
    sandbox.ensure_running(&launch).unwrap();
    let again = runtime.block_on(exec(&nodes[0], &pods[0], &["/bin/web", "get", "http://127.0.0.1:8080/version"]));
    assert_eq!(again.trim(), "1.0");

    // After a stop, everything of the old pods can be removed in the usual way.
    sandbox.stop(Duration::from_secs(60)).unwrap();
    let log = fs::read_to_string(nodes[1].dir().private("/var/log/pods").join("web.log")).unwrap();
    assert!(log.contains("shutting down"), "{log}");
    sandbox.ensure_running(&launch).unwrap();
    // It ended by itself, within the grace; the kernel's end would be 137.
    let ended = runtime.block_on(async {
        let cri = cri::Runtime::new(nodes[1].dir().cri_socket()).unwrap();
        cri.container_status(&pods[1].container).await.unwrap()
    });
    assert_eq!((ended.state(), ended.exit_code), (cri::v1::ContainerState::ContainerExited, 0));
    assert_eq!(runtime.block_on(remove_pods(&nodes[0])), 1);
    let again = runtime.block_on(run_pod(&nodes[0]));
    wait("the new pod", || inside_ok(&nodes[1], &web, &["get", &format!("http://{}:8080/healthz", again.ip)]));

    // A damaged configuration keeps nobody from deleting the cluster.
    fs::write(sandbox.cluster().dir().config_file(), "{").unwrap();
    drop(sandbox);
    assert!(Sandbox::open(&fixture.home(), &fixture.name).is_err());
    Sandbox::open_to_delete(&fixture.home(), &fixture.name).unwrap().unwrap().delete(&[]).unwrap();
    assert_eq!(fixture.traces(), Vec::<String>::new());
}

#[test]
fn clusters_live_side_by_side_and_failures_say_what_to_do() {
    let _alone = alone();
    let Some(fixture) = Fixture::new("two") else { return };
    let launch = fixture.launch();
    let one = fixture.create(1);
    let name = format!("{}-b", fixture.name).parse().unwrap();
    let two = Sandbox::create(&fixture.home(), &name, NewNodes::Real(1)).unwrap();
    for sandbox in [&one, &two] {
        sandbox.ensure_running(&launch).unwrap();
    }
    let networks = [&one, &two].map(|sandbox| sandbox.cluster().config().network().unwrap().clone());
    assert!(!networks[0].node_cidr.overlaps(networks[1].node_cidr));
    assert!(!networks[0].pod_cidr.overlaps(networks[1].pod_cidr));
    assert_eq!(fixture.home().clusters().unwrap(), [fixture.name.clone(), name.clone()]);

    drop(one);
    let exists = Sandbox::create(&fixture.home(), &fixture.name, NewNodes::Real(1)).unwrap_err().to_string();
    assert!(exists.contains("exists: `shipmate start"), "{exists}");

    let one = fixture.open().unwrap();
    one.stop(Duration::ZERO).unwrap();
    assert!(two.cluster().status().complete());
    let port = one.cluster().config().api_port;
    let taken = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let message = one.ensure_running(&launch).unwrap_err().to_string();
    assert!(message.contains(&format!("port {port}")) && message.contains("is taken by process"), "{message}");
    drop(taken);

    sandbox::network::Network::of(one.cluster().config(), one.cluster().dir()).unwrap().ensure().unwrap();
    let node = &one.cluster().nodes()[0];
    let mut broken = sandbox::node::Runtime::find().unwrap();
    broken.containerd = "/bin/false".into();
    let message = node.ensure_containerd(&node.ensure_namespaces().unwrap(), &broken).unwrap_err().to_string();
    assert!(message.contains("ended right after its start"), "{message}");

    one.delete(&[]).unwrap();
    assert!(two.cluster().status().complete());
    two.delete(&[]).unwrap();
    assert_eq!(fixture.traces(), Vec::<String>::new());
}

struct Pod {
    container: String,
    ip: String,
}

async fn run_pod(node: &Node) -> Pod {
    use cri::v1;
    let runtime = cri::Runtime::new(node.dir().cri_socket()).unwrap();
    let metadata = v1::PodSandboxMetadata {
        name: "web".to_owned(),
        uid: "1".to_owned(),
        namespace: "default".to_owned(),
        attempt: 0,
    };
    // The containers share one process namespace, whose first process is pause: its end would kill the others at once.
    let config = v1::PodSandboxConfig {
        metadata: Some(metadata),
        hostname: "web".to_owned(),
        log_directory: "/var/log/pods".to_owned(),
        linux: Some(v1::LinuxPodSandboxConfig {
            cgroup_parent: format!("{}/pod1", node.cgroup()),
            ..Default::default()
        }),
        ..Default::default()
    };
    let sandbox = runtime.run_pod_sandbox(config.clone(), "").await.unwrap();
    let container = v1::ContainerConfig {
        metadata: Some(v1::ContainerMetadata { name: "web".to_owned(), attempt: 0 }),
        image: Some(v1::ImageSpec { image: images::web_reference("1.0"), ..Default::default() }),
        log_path: "web.log".to_owned(),
        ..Default::default()
    };
    let container = runtime.create_container(&sandbox, container, config).await.unwrap();
    runtime.start_container(&container).await.unwrap();
    let status = runtime.pod_sandbox_status(&sandbox).await.unwrap();
    Pod { container, ip: status.network.unwrap().ip }
}

/// Stops and removes every sandbox, as the kubelet does after a restart; how many there were.
async fn remove_pods(node: &Node) -> usize {
    let runtime = cri::Runtime::new(node.dir().cri_socket()).unwrap();
    let pods = runtime.list_pod_sandboxes(cri::v1::PodSandboxFilter::default()).await.unwrap();
    for pod in &pods {
        assert_eq!(pod.state, cri::v1::PodSandboxState::SandboxNotready as i32);
        runtime.stop_pod_sandbox(&pod.id).await.unwrap();
        runtime.remove_pod_sandbox(&pod.id).await.unwrap();
    }
    let leases = fs::read_dir(node.dir().private("/var/lib/cni").join("networks/shipmate")).unwrap();
    let leases = leases.filter(|lease| lease.as_ref().unwrap().file_name().to_str().unwrap().starts_with("10."));
    assert_eq!(leases.count(), 0, "addresses are given back");
    pods.len()
}

async fn exec(node: &Node, pod: &Pod, command: &[&str]) -> String {
    let runtime = cri::Runtime::new(node.dir().cri_socket()).unwrap();
    let command = command.iter().map(|word| (*word).to_owned()).collect();
    let output = runtime.exec_sync(&pod.container, command, Duration::from_secs(20)).await.unwrap();
    assert_eq!(output.exit_code, 0, "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn inside_ok(node: &Node, program: &std::path::Path, args: &[&str]) -> bool {
    let namespaces = node.namespaces().unwrap().unwrap();
    let mut command = std::process::Command::new(program);
    command.args(args).stdout(std::process::Stdio::null());
    namespaces.spawn(command).unwrap().wait().unwrap().success()
}

/// Bridges of clusters that are not this test's.
fn sandbox_bridges() -> Vec<String> {
    let links = output("ip", &["-d", "link"]);
    links.lines().filter(|line| line.contains("alias shipmate:")).map(str::to_owned).collect()
}
