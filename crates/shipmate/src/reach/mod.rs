//! Reaches a cluster by the user's kubeconfig, and its nodes: those of a sandbox, this machine, or by OpenSSH.

mod sandbox_node;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use operate::access::{Access, Local, Ssh};
use sandbox::Cluster;
use sandbox::layout::{Home, Name};
use serde_json::Value;

use crate::cli::reach::Reach;
use crate::commands::NotRunning;

pub(crate) use sandbox_node::SandboxNode;

/// How long any one question to the API may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Objects in one answer.
const PAGE: usize = 500;

/// A cluster that was reached.
pub(crate) struct Reached {
    /// The context.
    pub(crate) context: String,
    /// Its API server.
    pub(crate) server: String,
    /// A client.
    pub(crate) client: Client,
    /// The sandbox that it is, if it is one of this machine.
    pub(crate) sandbox: Option<Cluster>,
    reach: Reach,
}

/// A node as the API knows it.
#[derive(Clone, Debug)]
pub(crate) struct KnownNode {
    /// Its name.
    pub(crate) name: String,
    /// Its object.
    pub(crate) object: Value,
}

impl KnownNode {
    /// Its internal address, or any.
    pub(crate) fn address(&self) -> Option<&str> {
        let addresses = self.object["status"]["addresses"].as_array()?;
        let of = |kind: &str| addresses.iter().find(|one| one["type"] == kind).and_then(|one| one["address"].as_str());
        of("InternalIP").or_else(|| of("ExternalIP")).or_else(|| of("Hostname"))
    }

    /// A word of its `nodeInfo`.
    pub(crate) fn info(&self, name: &str) -> &str {
        self.object["status"]["nodeInfo"][name].as_str().unwrap_or_default()
    }

    /// Whether ordinary pods come here: no taint of the control plane keeps them away.
    pub(crate) fn takes_pods(&self) -> bool {
        let taints = self.object["spec"]["taints"].as_array();
        !taints.into_iter().flatten().any(|taint| {
            let key = taint["key"].as_str().unwrap_or_default();
            let of_control_plane = key.ends_with("/control-plane") || key.ends_with("/master");
            of_control_plane && taint["effect"] != "PreferNoSchedule"
        })
    }
}

/// Reaches the cluster.
pub(crate) async fn connect(reach: &Reach) -> anyhow::Result<Reached> {
    let kubeconfig = match &reach.kubeconfig {
        Some(file) => Kubeconfig::read_from(file),
        None => Kubeconfig::read(),
    };
    let kubeconfig = kubeconfig.context("read the kubeconfig; `shipmate doctor kubeconfig` says more")?;
    let context = reach.context.clone().or_else(|| kubeconfig.current_context.clone()).unwrap_or_default();
    if context.is_empty() {
        bail!("no context is chosen: `kubectl config use-context NAME`, or --context NAME");
    }
    let options = KubeConfigOptions { context: Some(context.clone()), ..KubeConfigOptions::default() };
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let config = config.with_context(|| format!("use the context {context}"))?;
    let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let sandbox = find_sandbox(&context, &server)?;
    if let Some(cluster) = &sandbox
        && cluster.status().server.is_none()
    {
        return Err(NotRunning::Stopped(cluster.config().name.clone()).into());
    }
    let client = Client::try_from(config).context("make an API client")?;
    Ok(Reached { context, server, client, sandbox, reach: reach.clone() })
}

/// The sandbox of a context: it has the context's name and listens at its port.
fn find_sandbox(context: &str, server: &str) -> anyhow::Result<Option<Cluster>> {
    let Ok(name) = context.parse::<Name>() else { return Ok(None) };
    let Ok(home) = Home::from_env() else { return Ok(None) };
    let cluster = Cluster::find(&home, &name)?;
    Ok(cluster.filter(|cluster| server == format!("https://127.0.0.1:{}", cluster.config().api_port)))
}

impl Reached {
    /// What tells this cluster from all others: the id of its first namespace, or its address where that can't be read.
    pub(crate) async fn identity(&self) -> String {
        let namespace = self.get("/api/v1/namespaces/kube-system").await;
        let uid = namespace.ok().and_then(|object| object["metadata"]["uid"].as_str().map(str::to_owned));
        uid.unwrap_or_else(|| self.server.clone())
    }

    /// One object or list.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = http::Request::get(path).body(Vec::new()).context("make a request")?;
        let answer = tokio::time::timeout(LIMIT, self.client.request::<Value>(request)).await;
        let answer = answer.map_err(|_| anyhow!("{} did not answer within {} s", self.server, LIMIT.as_secs()))?;
        answer.with_context(|| format!("ask {} for {path}", self.server))
    }

    /// All objects of a list, page by page; each gets the list's kind.
    pub(crate) async fn list(&self, path: &str, kind: &str) -> anyhow::Result<Vec<Value>> {
        let mut found = Vec::new();
        let mut next = String::new();
        loop {
            let joint = if path.contains('?') { '&' } else { '?' };
            let mut page = self.get(&format!("{path}{joint}limit={PAGE}{next}")).await?;
            if let Value::Array(items) = page["items"].take() {
                found.extend(items.into_iter().map(|mut item| {
                    item["kind"] = kind.into();
                    item
                }));
            }
            match page["metadata"]["continue"].as_str().filter(|token| !token.is_empty()) {
                Some(token) => next = format!("&continue={}", percent(token)),
                None => return Ok(found),
            }
        }
    }

    /// Changes a part of an object, with a strategic merge patch.
    pub(crate) async fn patch(&self, path: &str, patch: &Value) -> anyhow::Result<()> {
        let request = http::Request::patch(path)
            .header(http::header::CONTENT_TYPE, "application/strategic-merge-patch+json")
            .body(patch.to_string().into_bytes())
            .context("make a request")?;
        let answer = tokio::time::timeout(LIMIT, self.client.request::<Value>(request)).await;
        let answer = answer.map_err(|_| anyhow!("{} did not answer within {} s", self.server, LIMIT.as_secs()))?;
        answer.map(drop).with_context(|| format!("patch {path}"))
    }

    /// The nodes with these labels, by name.
    pub(crate) async fn nodes(&self, selector: Option<&str>) -> anyhow::Result<Vec<KnownNode>> {
        let query = selector.map(|selector| format!("?labelSelector={}", percent(selector))).unwrap_or_default();
        let listed = self.list(&format!("/api/v1/nodes{query}"), "Node").await?;
        let known = |object: Value| KnownNode {
            name: object["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            object,
        };
        let mut nodes: Vec<KnownNode> = listed.into_iter().map(known).collect();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(nodes)
    }

    /// The way onto a node.
    pub(crate) async fn access(&self, node: &KnownNode) -> anyhow::Result<Arc<dyn Access>> {
        let name = &node.name;
        if let Some(cluster) = &self.sandbox {
            let nodes = cluster.nodes();
            let Some(found) = nodes.into_iter().find(|found| found.config().name.as_str() == name) else {
                bail!("node {name} is simulated: it has no containerd");
            };
            return Ok(Arc::new(SandboxNode::new(found)?));
        }
        let by_ssh = self.reach.ssh.is_some() || self.reach.ssh_config.is_some();
        if !by_ssh && is_here(node) {
            return Ok(Arc::new(Local::new(name.as_str())));
        }
        if !by_ssh {
            bail!("no way onto node {name} is given: use --ssh (or --ssh=USER@), which uses your own OpenSSH");
        }
        let destination = self.destination(node).await?;
        let mut ssh = Ssh::new(name.as_str(), destination);
        if let Some(file) = &self.reach.ssh_config {
            ssh = ssh.with_config(file);
        }
        if self.reach.sudo {
            ssh = ssh.with_sudo();
        }
        Ok(Arc::new(ssh))
    }

    /// What `ssh` is told: the node's name if the user's configuration says something about it, its address otherwise.
    async fn destination(&self, node: &KnownNode) -> anyhow::Result<String> {
        let configured = configured(&node.name, self.reach.ssh_config.as_deref()).await;
        let host = if configured { Some(node.name.as_str()) } else { node.address() };
        let host = host.with_context(|| format!("node {} has no address", node.name))?;
        let user = self.reach.ssh.as_deref().unwrap_or_default().trim_end_matches('@');
        Ok(if user.is_empty() { host.to_owned() } else { format!("{user}@{host}") })
    }
}

/// Whether the user's OpenSSH configuration says where a host of this name is.
async fn configured(name: &str, config: Option<&Path>) -> bool {
    let mut arguments = vec!["-G".to_owned()];
    if let Some(config) = config {
        arguments.extend(["-F".to_owned(), config.display().to_string()]);
    }
    arguments.extend(["--".to_owned(), name.to_owned()]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Ok(ran) = Local::new("here").run("ssh", &arguments, None, LIMIT).await else { return false };
    let text = ran.text();
    let host = text.lines().find_map(|line| line.strip_prefix("hostname "));
    ran.succeeded() && host.is_some_and(|host| host != name)
}

/// Whether a node is this machine: it has its id, and its name.
fn is_here(node: &KnownNode) -> bool {
    let read = |file: &str| std::fs::read_to_string(file).map(|text| text.trim().to_owned()).unwrap_or_default();
    let same = |file: &str, word: &str| !word.is_empty() && read(file) == word;
    same("/etc/machine-id", node.info("machineID")) && same("/proc/sys/kernel/hostname", &node.name)
        || same("/proc/sys/kernel/random/boot_id", node.info("bootID"))
}

fn percent(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
