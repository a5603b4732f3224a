//! A private world for one test: namespaces, containerd, an API server, a node.

#![allow(dead_code, reason = "each test file uses another part of it")]

mod api;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub use api::Api;
use cri::import::ImageBuilder;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const IMAGE: &str = "node.test/busybox:1";
pub const PAUSE: &str = "node.test/pause:1";
const INSIDE: &str = "SHIPMATE_NODE_TEST_INSIDE";

/// Runs a test in network, mount and UTS namespaces of its own, by running this program again. What the
/// test leaves behind vanishes with them.
pub fn inside<F: Future<Output = ()>>(test: &str, body: impl FnOnce() -> F) {
    if std::env::var_os(INSIDE).is_none() {
        let program = std::env::current_exe().unwrap();
        let status = Command::new("unshare")
            .args(["--net", "--mount", "--uts", "--propagation", "slave", "--"])
            .arg(program)
            .args(["--exact", test, "--nocapture"])
            .env(INSIDE, "1")
            .status()
            .unwrap();
        assert!(status.success(), "{test} failed; its output is above");
        return;
    }
    // What containerd and CNI plugins leave in common places shall be ours alone.
    for place in ["/run", "/var/lib/cni"] {
        let _ = fs::create_dir_all(place);
        run("mount", &["-t", "tmpfs", "tmpfs", place]);
    }
    run("ip", &["link", "set", "lo", "up"]);
    // Whoever makes a node's namespace gives it the address of cluster DNS.
    run("ip", &["address", "add", "10.96.0.10/32", "dev", "lo"]);
    let filter = std::env::var("RUST_LOG").unwrap_or_else(|_| "warn,node=debug".to_owned());
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(body());
}

fn run(program: &str, args: &[&str]) {
    let status = Command::new(program).args(args).status().unwrap();
    assert!(status.success(), "{program} {args:?}");
}

/// Everything that a node needs, and the node.
pub struct World {
    pub api: Api,
    pub runtime: cri::Runtime,
    pub config: node::Config,
    dir: TempDir,
    containerd: Child,
    node: Option<(CancellationToken, JoinHandle<Result<(), node::RunError>>)>,
}

impl World {
    pub async fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("shipmate-node-test-").tempdir().unwrap();
        let api = Api::start().await;
        let config = config(dir.path(), &api);
        let containerd = start_containerd(dir.path(), false);
        let runtime = cri::Runtime::new(dir.path().join("c.sock")).unwrap();
        runtime.ready(Duration::from_secs(30)).await.unwrap();
        load_images(&runtime).await;
        let mut world = Self { api, runtime, config, dir, containerd, node: None };
        world.start_node();
        world
    }

    pub fn start_node(&mut self) {
        let stop = CancellationToken::new();
        let run = node::run(self.config.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let ended = run.await;
            if let Err(err) = &ended {
                eprintln!("the node ended: {err}: {:?}", std::error::Error::source(err));
            }
            ended
        });
        self.node = Some((stop, task));
    }

    /// Ends the node; its containers go on.
    pub async fn stop_node(&mut self) {
        if let Some((stop, task)) = self.node.take() {
            stop.cancel();
            task.await.unwrap().unwrap();
        }
    }

    /// Ends the node where it stands, as SIGKILL does.
    pub async fn kill_node(&mut self) {
        if let Some((_, task)) = self.node.take() {
            task.abort();
            let _ = task.await;
        }
        // Its own tasks end a moment later; the next node needs their port.
        while std::net::TcpListener::bind("127.0.0.1:10250").is_err() {
            tokio::task::yield_now().await;
        }
    }

    /// Kills containerd and starts it again.
    pub async fn crash_containerd(&mut self) {
        self.containerd.kill().unwrap();
        self.containerd.wait().unwrap();
        self.containerd = start_containerd(self.dir.path(), true);
        self.runtime.ready(Duration::from_secs(30)).await.unwrap();
    }

    /// Creates a pod for this node from its spec.
    pub fn create(&self, name: &str, spec: Value) -> Value {
        let mut spec = spec;
        spec["nodeName"] = json!(self.config.node_name);
        self.api.put(
            "pods",
            json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"namespace": "default", "name": name, "generation": 1},
                "spec": spec, "status": {"phase": "Pending"},
            }),
        )
    }

    pub fn pod_dir(&self, uid: &str) -> PathBuf {
        self.config.state_dir.join("pods").join(uid)
    }

    /// The text of a container's log, without times and streams.
    pub fn log(&self, pod: &Value, container: &str, attempt: u32) -> String {
        let uid = pod["metadata"]["uid"].as_str().unwrap();
        let name = pod["metadata"]["name"].as_str().unwrap();
        let dir = self.config.log_dir.join(format!("default_{name}_{uid}")).join(container);
        let text = fs::read_to_string(dir.join(format!("{attempt}.log"))).unwrap_or_default();
        text.lines().filter_map(|line| line.splitn(4, ' ').nth(3)).map(|line| format!("{line}\n")).collect()
    }

    /// Removes every pod, then ends the node and containerd.
    pub async fn end(mut self) {
        for pod in self.api.list("pods") {
            let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
            self.api.delete_pod(&name, 0);
            self.api.pod(&name, Value::is_null).await;
        }
        self.stop_node().await;
        let left = self.runtime.list_pod_sandboxes(cri::v1::PodSandboxFilter::default()).await.unwrap();
        assert!(left.is_empty(), "sandboxes left: {left:?}");
        let files: Vec<_> = fs::read_dir(self.config.state_dir.join("pods")).unwrap().collect();
        assert!(files.is_empty(), "files left: {files:?}");
        let logs: Vec<_> = fs::read_dir(&self.config.log_dir).unwrap().collect();
        assert!(logs.is_empty(), "logs left: {logs:?}");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.containerd.kill();
        let _ = self.containerd.wait();
        // Whatever a failed test left running, and the cgroups.
        for shim in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let command = fs::read(shim.path().join("cmdline")).unwrap_or_default();
            let own = String::from_utf8_lossy(&command).contains(&format!("{}/c.sock", self.dir.path().display()));
            if let Some(pid) = shim.file_name().to_str().filter(|_| own) {
                let _ = Command::new("kill").args(["-9", pid]).status();
            }
        }
        let _ = Command::new("sh").arg("-c").arg(clean_up(&self.config.cgroup_parent)).status();
        for _ in 0..3 {
            let _ = Command::new("sh")
                .arg("-c")
                .arg(format!(
                    "grep -o ' {}[^ ]*' /proc/self/mountinfo | sort -r | xargs -r umount -l",
                    self.dir.path().display()
                ))
                .status();
        }
    }
}

fn clean_up(cgroup: &str) -> String {
    format!(
        "for h in /sys/fs/cgroup/*; do d=$h{cgroup}; [ -d $d ] || continue; \
         find $d -name cgroup.procs -exec cat {{}} + 2>/dev/null | xargs -r kill -9 2>/dev/null; sleep 0.1; \
         find $d -depth -type d -exec rmdir {{}} + 2>/dev/null; done; true"
    )
}

fn config(dir: &Path, api: &Api) -> node::Config {
    let cert = rcgen::generate_simple_self_signed(vec!["node.test".to_owned()]).unwrap();
    let (pem, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    fs::write(&pem, cert.cert.pem()).unwrap();
    fs::write(&key, cert.signing_key.serialize_pem()).unwrap();
    let unique = dir.file_name().unwrap().to_str().unwrap();
    serde_json::from_value(json!({
        "nodeName": "node-1", "cluster": "test", "server": format!("http://{}", api.address),
        "ca": pem, "cert": pem, "key": key, "servingCert": pem, "servingKey": key,
        "nodeIp": "127.0.0.1", "podCidr": "10.244.1.0/24",
        "clusterCidr": "10.244.0.0/16", "serviceCidr": "10.96.0.0/16", "clusterDns": "10.96.0.10",
        "clusterDomain": "cluster.local", "containerdSocket": dir.join("c.sock"),
        "stateDir": dir.join("node"), "logDir": dir.join("logs"), "cgroupParent": format!("/{unique}"),
        "pauseImage": PAUSE,
    }))
    .unwrap()
}

fn start_containerd(dir: &Path, again: bool) -> Child {
    let path = dir.display();
    let toml = format!(
        r#"version = 2
root = "{path}/root"
state = "{path}/state"
[grpc]
  address = "{path}/c.sock"
[ttrpc]
  address = "{path}/c.sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{path}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "{PAUSE}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{path}/cni"
"#
    );
    if !again {
        fs::create_dir_all(dir.join("cni")).unwrap();
        fs::write(dir.join("config.toml"), toml).unwrap();
        let conflist = json!({
            "cniVersion": "1.0.0", "name": "pods", "plugins": [{
                "type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
                "ipam": {
                    "type": "host-local", "dataDir": dir.join("ipam"),
                    "ranges": [[{"subnet": "10.244.1.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}],
                },
            }],
        });
        fs::write(dir.join("cni/10-pod.conflist"), conflist.to_string()).unwrap();
    }
    let log = fs::OpenOptions::new().create(true).append(true).open(dir.join("containerd.log")).unwrap();
    Command::new("containerd")
        .arg("--config")
        .arg(dir.join("config.toml"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Two images of one static busybox.
async fn load_images(runtime: &cri::Runtime) {
    let busybox = fs::read("/bin/busybox").expect("busybox-static is installed");
    let base = ImageBuilder::new().file("/bin/busybox", 0o755, busybox).directory("/tmp", 0o1777);
    let mut image = base.clone().config("Env", json!(["PATH=/bin"])).config("Cmd", json!(["/bin/sleep", "1d"]));
    for applet in
        ["sh", "sleep", "cat", "echo", "id", "env", "httpd", "ls", "touch", "false", "true", "kill", "hostname"]
    {
        image = image.link(&format!("/bin/{applet}"), "/bin/busybox");
    }
    let waits = "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done";
    let pause = base.link("/bin/sh", "/bin/busybox").link("/bin/sleep", "/bin/busybox");
    let pause = pause.config("Env", json!(["PATH=/bin"])).config("Entrypoint", json!(["/bin/sh", "-c", waits]));
    for (builder, name) in [(image, IMAGE), (pause, PAUSE)] {
        runtime.import(&builder.build(vec![name.parse().unwrap()])).await.unwrap();
    }
}

/// A container of the test image that runs a shell script.
pub fn container(name: &str, script: &str) -> Value {
    json!({"name": name, "image": IMAGE, "command": ["/bin/sh", "-c", script]})
}

/// A script that ends soon after SIGTERM.
pub fn until_term(first: &str) -> String {
    format!("trap 'exit 0' TERM; {first}; while :; do sleep 0.1; done")
}

/// The status of a container.
pub fn status<'a>(pod: &'a Value, name: &str) -> &'a Value {
    let lists = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];
    let all = lists.iter().filter_map(|list| pod["status"][list].as_array()).flatten();
    all.into_iter().find(|status| status["name"] == name).unwrap_or(&Value::Null)
}

/// The status of a condition.
pub fn condition<'a>(pod: &'a Value, kind: &str) -> &'a Value {
    let all = pod["status"]["conditions"].as_array().into_iter().flatten();
    all.into_iter().find(|condition| condition["type"] == kind).map_or(&Value::Null, |condition| &condition["status"])
}
