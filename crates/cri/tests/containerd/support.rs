//! A private containerd: its own root, state, socket and mount namespace, gone after the test.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use cri::import::{ImageBuilder, ImageSource};
use cri::{Runtime, v1};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

pub const BUSYBOX: &str = "docker.io/library/busybox:test";
const PAUSE: &str = "shipmate.local/pause:test";
/// Generous, for machines that are busy with something else.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A node with containerd and nothing else.
pub struct Node {
    pub runtime: Runtime,
    dir: TempDir,
    containerd: Child,
    cgroup: String,
}

/// A running pod of one container.
pub struct Pod {
    pub sandbox: String,
    pub container: String,
}

impl Node {
    /// Starts containerd and loads the busybox image.
    pub async fn start() -> Self {
        let node = Self::start_empty().await;
        node.runtime.import(&busybox(&[BUSYBOX, PAUSE])).await.unwrap();
        node
    }

    pub async fn start_empty() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        require("root", nix::unistd::geteuid().is_root());
        for program in ["containerd", "containerd-shim-runc-v2", "runc", "unshare"] {
            require(program, on_path(program));
        }
        let dir = tempfile::Builder::new().prefix("shipmate-cri-").tempdir().unwrap();
        fs::create_dir(dir.path().join("run")).unwrap();
        fs::write(dir.path().join("config.toml"), config(dir.path())).unwrap();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let node = Self {
            runtime: Runtime::new(dir.path().join("c.sock")).unwrap(),
            containerd: spawn(dir.path()),
            cgroup: format!("shipmate-cri-test-{}-{count}", std::process::id()),
            dir,
        };
        node.await_ready().await;
        node
    }

    /// Kills containerd without warning; the containers go on.
    pub fn kill_containerd(&mut self) {
        self.containerd.kill().unwrap();
        self.containerd.wait().unwrap();
    }

    pub async fn start_again(&mut self) {
        self.containerd = spawn(self.dir.path());
        self.await_ready().await;
    }

    async fn await_ready(&self) {
        if let Err(error) = self.runtime.ready(PATIENCE).await {
            let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            panic!("containerd did not start: {error}\n{log}");
        }
    }

    /// Names of the pipe directories that exist.
    pub fn pipes(&self) -> Vec<PathBuf> {
        match fs::read_dir(self.dir.path().join("exec")) {
            Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
            Err(_) => Vec::new(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A pod on the host's network, so that no CNI plugin is needed.
    pub fn pod_config(&self, name: &str) -> v1::PodSandboxConfig {
        v1::PodSandboxConfig {
            metadata: Some(v1::PodSandboxMetadata {
                name: name.to_owned(),
                uid: format!("uid-{name}"),
                namespace: "default".to_owned(),
                attempt: 0,
            }),
            log_directory: self.dir.path().join("logs").display().to_string(),
            labels: [("app".to_owned(), name.to_owned())].into(),
            linux: Some(v1::LinuxPodSandboxConfig {
                cgroup_parent: format!("/{}/pod-{name}", self.cgroup),
                security_context: Some(v1::LinuxSandboxSecurityContext {
                    namespace_options: Some(host_network()),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    /// Runs a pod of one container.
    pub async fn run(&self, name: &str, container: v1::ContainerConfig) -> Pod {
        let pod = self.pod_config(name);
        fs::create_dir_all(&pod.log_directory).unwrap();
        let runtime = &self.runtime;
        let sandbox = runtime.run_pod_sandbox(pod.clone(), "").await.unwrap();
        let container = runtime.create_container(&sandbox, container, pod).await.unwrap();
        runtime.start_container(&container).await.unwrap();
        Pod { sandbox, container }
    }

    /// Runs a pod that does nothing for a long time.
    pub async fn idle(&self, name: &str) -> Pod {
        self.run(name, container(&["/bin/sleep", "100000"])).await
    }

    /// Everything that runs in the node's pods, and the shims.
    fn processes(&self) -> Vec<i32> {
        let mut pids: Vec<i32> = Vec::new();
        for directory in self.cgroups() {
            let procs = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            pids.extend(procs.lines().filter_map(|pid| pid.parse::<i32>().ok()));
        }
        let marker = self.dir.path().display().to_string();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let cmdline = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let name = process.file_name();
            if let Some(pid) = name.to_str().and_then(|name| name.parse().ok())
                && String::from_utf8_lossy(&cmdline).contains(&marker)
            {
                pids.push(pid);
            }
        }
        pids
    }

    /// The node's directories in every cgroup hierarchy, deepest first.
    fn cgroups(&self) -> Vec<PathBuf> {
        let root = Path::new("/sys/fs/cgroup");
        let mut hierarchies = vec![root.to_owned()];
        hierarchies.extend(fs::read_dir(root).into_iter().flatten().flatten().map(|e| e.path()));
        let mut found = Vec::new();
        for hierarchy in hierarchies {
            collect_directories(&hierarchy.join(&self.cgroup), &mut found);
        }
        found
    }
}

impl Drop for Node {
    /// The mounts are in containerd's mount namespace and vanish with its last process.
    fn drop(&mut self) {
        let _ = self.containerd.kill();
        let _ = self.containerd.wait();
        let end = Instant::now() + PATIENCE;
        while let pids = self.processes()
            && !pids.is_empty()
            && Instant::now() < end
        {
            for pid in pids {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            std::thread::yield_now();
        }
        for directory in self.cgroups() {
            if let Err(error) = fs::remove_dir(&directory) {
                eprintln!("left behind: {}: {error}", directory.display());
            }
        }
    }
}

fn require(what: &str, present: bool) {
    assert!(present, "this test needs {what}: run it as root with containerd and runc installed");
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    directories.push("/usr/sbin".into());
    directories.iter().any(|directory| directory.join(program).exists())
}

/// Its own /run, because shims put their sockets at a fixed place there.
fn spawn(dir: &Path) -> Child {
    let script = "mount --bind \"$0/run\" /run && exec containerd --config \"$0/config.toml\"";
    let log = fs::File::options().create(true).append(true).open(dir.join("log")).unwrap();
    Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn config(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        r#"version = 2
root = "{dir}/root"
state = "{dir}/state"
oom_score = 0
[grpc]
  address = "{dir}/c.sock"
[ttrpc]
  address = "{dir}/c.sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{dir}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "{PAUSE}"
  [plugins."io.containerd.grpc.v1.cri".cni]
    conf_dir = "{dir}/cni"
"#
    )
}

fn collect_directories(directory: &Path, found: &mut Vec<PathBuf>) {
    let entries: io::Result<fs::ReadDir> = fs::read_dir(directory);
    let Ok(entries) = entries else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            collect_directories(&entry.path(), found);
        }
    }
    found.push(directory.to_owned());
}

fn host_network() -> v1::NamespaceOption {
    v1::NamespaceOption { network: v1::NamespaceMode::Node.into(), ..Default::default() }
}

/// Debian's static busybox; also the pause process, which only has to stay.
pub fn busybox(names: &[&str]) -> ImageSource {
    let binary = fs::read("/bin/busybox").expect("these tests need busybox-static in /bin/busybox");
    let mut image = ImageBuilder::new()
        .file("/bin/busybox", 0o755, binary)
        .file("/etc/passwd", 0o644, "app:x:1000:1000::/tmp:/bin/sh\n")
        .directory("/tmp", 0o1777)
        .config("Env", vec!["PATH=/bin"])
        .config("Entrypoint", vec!["/bin/sleep", "100000"]);
    for tool in ["sh", "sleep", "cat", "head", "id", "stty", "dd", "yes"] {
        image = image.link(&format!("/bin/{tool}"), "busybox");
    }
    image.build(names.iter().map(|name| name.parse().unwrap()).collect())
}

pub fn container(command: &[&str]) -> v1::ContainerConfig {
    v1::ContainerConfig {
        metadata: Some(v1::ContainerMetadata { name: "main".to_owned(), attempt: 0 }),
        image: Some(v1::ImageSpec { image: BUSYBOX.to_owned(), ..Default::default() }),
        command: command.iter().map(|&word| word.to_owned()).collect(),
        log_path: "main.log".to_owned(),
        linux: Some(v1::LinuxContainerConfig {
            resources: Some(v1::LinuxContainerResources::default()),
            security_context: Some(v1::LinuxContainerSecurityContext {
                namespace_options: Some(host_network()),
                ..Default::default()
            }),
        }),
        ..Default::default()
    }
}
