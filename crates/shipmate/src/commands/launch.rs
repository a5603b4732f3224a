//! How the sandbox starts our processes, and what people see meanwhile.

use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use sandbox::node::Node;
use sandbox::{Cluster, Error, Result, images};

use crate::client;

/// How often a starting server is asked whether it is ready.
const ASK: Duration = Duration::from_millis(10);
/// How often the spinner turns.
const TURN: Duration = Duration::from_millis(80);

/// A line that says what is being done, and turns on a terminal.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new(what: &str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(what.to_owned());
        bar.set_style(ProgressStyle::default_spinner().tick_strings(&["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", " "]));
        bar.enable_steady_tick(TURN);
        Self(bar)
    }

    /// Says what is done next.
    pub(super) fn step(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    /// Replaces the line with what was done.
    pub(super) fn done(&self, what: &str) {
        self.0.finish_and_clear();
        eprintln!("{what}");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Starts our own processes.
pub(super) struct Launch<'a>(pub(super) &'a Progress);

impl sandbox::Launch for Launch<'_> {
    fn server(&self, cluster: &Cluster) -> Result<Command> {
        let mut command = ourselves()?;
        command.args(["server", "--cluster"]).arg(cluster.dir().path());
        Ok(command)
    }

    fn server_ready(&self, cluster: &Cluster, alive: &dyn Fn() -> bool) -> Result<()> {
        let access = cluster.access()?;
        let log = cluster.dir().log(sandbox::SERVER);
        let ready = client::with(&access, async |client| {
            loop {
                let request = http_get("/readyz")?;
                match client.request_text(request).await {
                    Ok(_) => return Ok(true),
                    Err(_) if alive() => tokio::time::sleep(ASK).await,
                    Err(_) => return Ok(false),
                }
            }
        });
        match ready {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::refused(format!("the API server ended: {}", last_line(&log)))),
            Err(error) => Err(Error::refused(format!("ask the API server whether it is ready: {error:#}"))),
        }
    }

    fn kubelet(&self, cluster: &Cluster, node: &Node) -> Result<Command> {
        let config = node_config(cluster, node)?;
        let path = node.dir().path().join("node.json");
        let text = serde_json::to_string_pretty(&config)
            .map_err(|error| Error::refused(format!("write node.json: {error}")))?;
        std::fs::write(&path, text).map_err(Error::file("write", &path))?;
        let mut command = ourselves()?;
        command.args(["node", "--config"]).arg(&path);
        Ok(command)
    }

    fn step(&self, what: &str) {
        self.0.step(&format!("starting {what}"));
    }
}

/// This program, for its other processes.
fn ourselves() -> Result<Command> {
    std::env::current_exe()
        .map(Command::new)
        .map_err(|error| Error::refused(format!("find our own program file: {error}")))
}

fn http_get(path: &str) -> anyhow::Result<http::Request<Vec<u8>>> {
    Ok(http::Request::get(path).body(Vec::new())?)
}

/// The last line of a log, where a process that ended says why.
fn last_line(log: &std::path::Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    format!("{} (from {})", line.trim_start_matches("error: "), log.display())
}

fn node_config(cluster: &Cluster, node: &Node) -> Result<node::Config> {
    let config = cluster.config();
    let network = config.network().ok_or_else(|| Error::refused("a simulated cluster has no kubelets"))?;
    let pki = cluster.pki();
    let (client, serving) = (pki.node_client(node.config()), pki.node_serving(node.config()));
    Ok(node::Config {
        node_name: node.config().name.to_string(),
        cluster: config.name.to_string(),
        server: format!("https://{}:{}", network.gateway(), config.api_port),
        ca: pki.ca().certificate,
        cert: client.certificate,
        key: client.key,
        serving_cert: serving.certificate,
        serving_key: serving.key,
        node_ip: IpAddr::V4(network.node_ip(node.config())),
        pod_cidr: network.node_pods(node.config()).to_string(),
        cluster_cidr: network.pod_cidr.to_string(),
        service_cidr: network.service_cidr.to_string(),
        cluster_dns: IpAddr::V4(network.dns_service()),
        cluster_domain: "cluster.local".to_owned(),
        containerd_socket: sandbox::layout::NodeDir::CRI_SOCKET_INSIDE.into(),
        state_dir: "/var/lib/kubelet".into(),
        log_dir: "/var/log/pods".into(),
        cgroup_parent: node.cgroup(),
        pause_image: images::pause_reference(),
        labels: std::collections::BTreeMap::default(),
        capacity: std::collections::BTreeMap::default(),
    })
}
