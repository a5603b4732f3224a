//! `trace`: 500 backends of pods on three nodes, whose tables have 100,000 other entries each, beside three plain dumps of
//! these tables.
//!
//! The connections are real: opened from within the pods' networks, through masquerade, to a PostgreSQL outside. Every
//! backend must be named with its pod and the very socket that the pod's kernel told; otherwise there is no figure. The
//! other entries are put into the kernel's tables.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbox::images::{WEB_VERSIONS, web_reference};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::report::{Amount, Bar, Figure, Peer, Report};
use crate::samples::median;

const NODES: usize = 3;
const PODS: usize = 15;
const BACKENDS: usize = 500;
const ENTRIES: usize = 100_000;
const LOOKS: usize = 5;
const BAR: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

pub(crate) fn measure(shipmate: &Path, report: &Report) -> anyhow::Result<()> {
    let cluster = Cluster::new(shipmate, "3")?;
    cluster.start()?;
    let pods = pods(&cluster)?;
    let server = Server::start(&cluster)?;
    let mut held = HashMap::new();
    let mut streams = Vec::new();
    for (number, (name, uid)) in pods.iter().enumerate() {
        let count = BACKENDS / PODS + usize::from(number < BACKENDS % PODS);
        for stream in connect(uid, name, &server, count)? {
            held.insert(stream.local_addr()?.to_string(), name.clone());
            streams.push(stream);
        }
    }
    let nodes = cluster.nodes()?;
    for (number, node) in nodes.iter().enumerate() {
        let mut load = Command::new("conntrack");
        load.arg("-R").arg(entries(&cluster, number)?);
        let done = spawned(node, load)?.wait().context("wait for conntrack")?;
        if !done.success() {
            bail!("the kernel's table was not filled: {done}");
        }
    }
    let dsn = format!("host={} port={} user=postgres dbname=postgres", server.host, server.port);
    let (mut times, mut floors) = (Vec::new(), Vec::new());
    for _ in 0..LOOKS {
        let (took, text) = cluster.output(&["trace", "postgres", "--dsn", &dsn, "--user", "app", "-o", "json"])?;
        every_one_is_right(&serde_json::from_str(&text).context("read the trace")?, &held)?;
        times.push(took);
        floors.push(dumps(&nodes)?);
    }
    report.figure(&Figure {
        what: "trace: 500 backends, 3 nodes with 100,000 entries each",
        amount: Amount::Time(median(&times)),
        peer: Some(Peer { what: "three `conntrack -L` at once", amount: Amount::Time(median(&floors)) }),
        bar: Some(Bar::Under(Amount::Time(BAR))),
    });
    Ok(())
}

/// Names and uids of pods that run, spread over the nodes.
fn pods(cluster: &Cluster) -> anyhow::Result<Vec<(String, String)>> {
    let pod = |number: usize| {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("client-{number}")}, "spec": {
            "nodeSelector": {"kubernetes.io/hostname": format!("node-{}", number % NODES + 1)},
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": web_reference(WEB_VERSIONS[0]), "imagePullPolicy": "Never"}]}})
    };
    let items: Vec<Value> = (0..PODS).map(pod).collect();
    let file = cluster.home().join("pods.json");
    fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string())?;
    cluster.kubectl(&["apply", "-f", &file.display().to_string()])?;
    cluster.kubectl(&["wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s"])?;
    let (_, text) = cluster.kubectl(&["get", "pods", "-o", "json"])?;
    let listed: Value = serde_json::from_str(&text)?;
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = listed["items"].as_array().into_iter().flatten();
    Ok(items.map(|pod| (word(&pod["metadata"]["name"]), word(&pod["metadata"]["uid"]))).collect())
}

/// Connections from within a pod's network, each as far as the server's "ready".
fn connect(uid: &str, name: &str, server: &Server, count: usize) -> anyhow::Result<Vec<TcpStream>> {
    let network = network_of(uid)?;
    let place = format!("{}:{}", server.host, server.port);
    let mut start = b"\0\x03\0\0user\0app\0database\0postgres\0application_name\0".to_vec();
    start.extend(name.as_bytes());
    start.extend(b"\0\0");
    let mut message = u32::try_from(start.len() + 4)?.to_be_bytes().to_vec();
    message.extend(start);
    let opened = std::thread::scope(|scope| {
        let thread = scope.spawn(|| -> anyhow::Result<Vec<TcpStream>> {
            setns(&network, CloneFlags::CLONE_NEWNET).context("enter a pod's network")?;
            let mut streams = Vec::new();
            for _ in 0..count {
                let mut stream = TcpStream::connect(&place).context("connect from a pod")?;
                stream.write_all(&message)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                let mut answer = [0; 1];
                stream.read_exact(&mut answer)?;
                if answer != *b"R" {
                    bail!("PostgreSQL does not let pods in");
                }
                streams.push(stream);
            }
            Ok(streams)
        });
        thread.join()
    });
    opened.map_err(|_| anyhow::anyhow!("the thread in the pod's network panicked"))?
}

fn network_of(uid: &str) -> anyhow::Result<File> {
    for entry in fs::read_dir("/proc")?.flatten() {
        let groups = fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
        if groups.contains(uid) {
            return Ok(File::open(entry.path().join("ns/net"))?);
        }
    }
    bail!("pod {uid} has no process on this machine")
}

/// A file of entries for `conntrack -R`: connections of other pods to other servers, masqueraded.
fn entries(cluster: &Cluster, node: usize) -> anyhow::Result<PathBuf> {
    let mut text = String::new();
    for number in 0..ENTRIES {
        let (server, port) = (number / 25_000, 10_000 + number % 25_000);
        let pod = format!("10.250.{}.{}", number / 250 % 250, number % 250 + 1);
        writeln!(
            text,
            "-I -p tcp -s {pod} -d 203.0.113.{server} --sport {port} --dport 5432 --state ESTABLISHED -u SEEN_REPLY,ASSURED \
             -t 432000 -r 203.0.113.{server} -q 198.51.100.{node} --reply-port-src 5432 --reply-port-dst {port}"
        )?;
    }
    let path = cluster.home().join(format!("entries-{node}"));
    fs::write(&path, text)?;
    Ok(path)
}

fn spawned(node: &sandbox::node::Node, mut command: Command) -> anyhow::Result<Child> {
    let namespaces =
        node.namespaces().map_err(|error| anyhow::anyhow!(error.chain()))?.context("a node does not run")?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    namespaces.spawn(command).context("start conntrack in a node")
}

/// The three tables, read by the distribution's own tool at once.
fn dumps(nodes: &[sandbox::node::Node]) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let mut dumps = Vec::new();
    for node in nodes {
        let mut dump = Command::new("conntrack");
        dump.args(["-L", "-p", "tcp"]);
        dumps.push(spawned(node, dump)?);
    }
    for mut dump in dumps {
        dump.wait()?;
    }
    Ok(started.elapsed())
}

/// Each backend's pod is the one that it says it is, and its socket one that this pod has.
fn every_one_is_right(told: &Value, held: &HashMap<String, String>) -> anyhow::Result<()> {
    let connections = told["connections"].as_array().context("the trace lists no connections")?;
    let mut sockets = std::collections::HashSet::new();
    for one in connections {
        let holder = &one["holder"];
        let socket = holder["socket"].as_str().unwrap_or_default();
        let pod = held.get(socket);
        if pod.is_none() || pod.map(String::as_str) != holder["pod"].as_str() || holder["pod"] != one["application"] {
            bail!("a backend is not named right: {one}");
        }
        sockets.insert(socket);
    }
    if sockets.len() != BACKENDS {
        bail!("{} of {BACKENDS} backends are told", sockets.len());
    }
    Ok(())
}

/// A PostgreSQL of this machine, outside the cluster, on the address of its bridge.
struct Server {
    process: Child,
    host: String,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        // "Immediate": no client is waited for.
        if let Ok(pid) = i32::try_from(self.process.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
        }
        let _ = self.process.wait();
    }
}

impl Server {
    fn start(cluster: &Cluster) -> anyhow::Result<Self> {
        let (_, route) =
            cluster.output(&["shell", "--name", cluster.name(), "node-1", "ip", "route", "show", "default"])?;
        let host = route.split_whitespace().nth(2).context("node-1 has no default route")?.to_owned();
        let port = TcpListener::bind((host.as_str(), 0))?.local_addr()?.port();
        let dir = tempfile::Builder::new().prefix("sb-pg-").tempdir_in("/var/tmp")?;
        let path = dir.path().display().to_string();
        let data = format!("{path}/data");
        Command::new("chown").args(["postgres:postgres", &path]).status()?;
        let made = as_postgres("initdb")?
            .args(["-D", &data, "-A", "trust", "-U", "postgres", "--no-sync"])
            .stdout(Stdio::null())
            .status()?;
        if !made.success() {
            bail!("initdb failed: {made}");
        }
        fs::write(format!("{data}/pg_hba.conf"), "local all all trust\nhost all all all trust\n")?;
        let mut command = as_postgres("postgres")?;
        command.args(["-D", &data, "-p", &port.to_string(), "-c", "fsync=off", "-c", "max_connections=600"]);
        command.args(["-c", &format!("listen_addresses={host}"), "-c", &format!("unix_socket_directories={path}")]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let server = Self { process, host, port, _dir: dir };
        let end = Instant::now() + PATIENCE;
        loop {
            let mut psql = as_postgres("psql")?;
            psql.args(["-X", "-h", &path, "-p", &port.to_string(), "-c", "create role app login"]);
            if psql.stdout(Stdio::null()).stderr(Stdio::null()).status()?.success() {
                return Ok(server);
            }
            if Instant::now() > end {
                bail!("PostgreSQL does not start");
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// A program of PostgreSQL as its own user, which ends with this one. Debian keeps versions side by side.
fn as_postgres(program: &str) -> anyhow::Result<Command> {
    let versions = fs::read_dir("/usr/lib/postgresql").context("install postgresql: this measures a real one")?;
    let programs = versions.flatten().map(|entry| entry.path().join("bin").join(program));
    let path = programs.filter(|path| path.exists()).max().context("install postgresql: this measures a real one")?;
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig=KILL"]);
    command.arg(path).current_dir("/");
    Ok(command)
}
