//! A cluster whose server and kubelets are the sample web application, and a
//! look at everything on the machine that could bear its traces.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sandbox::layout::{Home, Name};
use sandbox::node::Node;
use sandbox::{Cluster, Error, Launch, NewNodes, Result, Sandbox, programs};

/// A home in a temporary directory, with a cluster name that no other test has.
pub struct Fixture {
    dir: tempfile::TempDir,
    pub name: Name,
    _alone: nix::fcntl::Flock<fs::File>,
}

impl Fixture {
    /// `None` without root: these tests make namespaces and containers.
    pub fn new(purpose: &str) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("not checked: needs root");
            return None;
        }
        // What is made for all clusters together can be compared only by one test at a time.
        let file = fs::File::create(std::env::temp_dir().join("shipmate-root-tests.lock")).unwrap();
        let alone = nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive).unwrap();
        let dir = tempfile::Builder::new().prefix("smt").tempdir().unwrap();
        let name = format!("t{}-{purpose}", std::process::id()).parse().unwrap();
        Some(Self { dir, name, _alone: alone })
    }

    pub fn home(&self) -> Home {
        Home::at(self.dir.path().join("home"))
    }

    pub fn create(&self, nodes: u32) -> Sandbox {
        Sandbox::create(&self.home(), &self.name, NewNodes::Real(nodes)).unwrap()
    }

    pub fn open(&self) -> Option<Sandbox> {
        Sandbox::open(&self.home(), &self.name).unwrap()
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.path().join("kubeconfig")
    }

    /// The web application as a file that processes on the host can run.
    pub fn web(&self) -> PathBuf {
        let path = self.dir.path().join("web");
        if !path.exists() {
            fs::write(&path, programs::WEB.as_slice()).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        path
    }

    pub fn launch(&self) -> Web {
        Web(self.web())
    }

    /// Everything that bears the cluster's name, its hash or its directory.
    pub fn traces(&self) -> Vec<String> {
        let hash = sandbox::network::Names::new(&self.name).bridge();
        let dir = self.dir.path().display().to_string();
        let ours = |text: &str| text.contains(self.name.as_str()) || text.contains(&hash) || text.contains(&dir);
        let mut found = Vec::new();
        let mut look = |what: &str, text: String| {
            found.extend(text.lines().filter(|line| ours(line)).map(|line| format!("{what}: {line}")));
        };
        look("link", output("ip", &["-d", "link"]));
        look("address", output("ip", &["addr"]));
        look("route", output("ip", &["route", "show", "table", "all"]));
        look("netns", output("ip", &["netns", "list"]));
        look("nft", output("nft", &["list", "ruleset"]));
        look("mount", fs::read_to_string("/proc/self/mountinfo").unwrap());
        look("cgroup", output("find", &["/sys/fs/cgroup", "-type", "d", "-name", "kubepods-*"]));
        look("process", processes());
        look("file", output("find", &[&dir, "-mindepth", "1", "-not", "-name", "web"]));
        found
    }
}

/// A failed test leaves as little behind as one that passed.
impl Drop for Fixture {
    fn drop(&mut self) {
        for name in self.home().clusters().unwrap_or_default() {
            if let Ok(Some(sandbox)) = Sandbox::open_to_delete(&self.home(), &name) {
                let _ = sandbox.delete(&[]);
            }
        }
    }
}

/// Starts the web application in place of the server and of each kubelet.
pub struct Web(PathBuf);

impl Launch for Web {
    fn server(&self, cluster: &Cluster) -> Result<Command> {
        let mut command = Command::new(&self.0);
        command.args(["serve", "--port", &cluster.config().api_port.to_string()]);
        Ok(command)
    }

    fn server_ready(&self, cluster: &Cluster, alive: &dyn Fn() -> bool) -> Result<()> {
        let port = cluster.config().api_port;
        wait("the server", || !alive() || TcpStream::connect(("127.0.0.1", port)).is_ok());
        if alive() { Ok(()) } else { Err(Error::Refused("the server ended".to_owned())) }
    }

    fn kubelet(&self, _cluster: &Cluster, _node: &Node) -> Result<Command> {
        let mut command = Command::new(&self.0);
        command.args(["serve", "--port", "10250"]);
        Ok(command)
    }
}

/// Waits until something is so; panics when it is not in time.
pub fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a command inside a node; its stdout.
pub fn inside(node: &Node, program: &Path, args: &[&str]) -> String {
    let namespaces = node.namespaces().unwrap().expect("the node runs");
    let mut command = Command::new(program);
    command.args(args).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let output = namespaces.spawn(command).unwrap().wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// One line per process: id, command line, environment and cgroups.
fn processes() -> String {
    let mut text = String::new();
    for item in fs::read_dir("/proc").unwrap().flatten() {
        let read = |file: &str| fs::read(item.path().join(file)).unwrap_or_default();
        let own = item.file_name() == std::process::id().to_string().as_str();
        if item.path().join("stat").exists() && !own {
            let line = [read("cmdline"), read("environ"), read("cgroup")].concat();
            let line = String::from_utf8_lossy(&line).replace(['\0', '\n'], " ");
            text.push_str(&format!("{} {line}\n", item.file_name().display()));
        }
    }
    text
}
