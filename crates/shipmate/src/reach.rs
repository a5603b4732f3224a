//! Reaches a cluster by the user's kubeconfig, and its nodes: those of a sandbox, this machine, or by OpenSSH.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use kube::Client;
use operate::access::{Access, Local};
use operate::collect::api::Node;
use operate::kubeconfig::Choice;
use sandbox::Cluster;
use serde_json::Value;

use crate::cli::reach::Reach;
use crate::commands::NotRunning;
use crate::nodes;

/// How long any one question to the API may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Objects in one answer.
const PAGE: usize = 500;

/// A cluster that was reached.
pub(crate) struct Reached {
    /// Its API server.
    pub(crate) server: String,
    /// The context by which it was chosen.
    pub(crate) context: String,
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
    let choice = Choice::from_environment(reach.kubeconfig.clone(), reach.context.clone());
    let chosen = choice.choose().await.context("no cluster is chosen; `shipmate doctor kubeconfig` says more")?;
    let server = chosen.config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let sandbox = nodes::sandbox_of(&chosen);
    if let Some(cluster) = &sandbox
        && cluster.status().server.is_none()
    {
        return Err(NotRunning::Stopped(cluster.config().name.clone()).into());
    }
    let client = Client::try_from(chosen.config).context("make an API client")?;
    Ok(Reached { server, context: chosen.context, client, sandbox, reach: reach.clone() })
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
        let name = node.name.as_str();
        if let Some(cluster) = &self.sandbox {
            let found = nodes::of_sandbox(cluster).into_iter().find(|way| way.node() == name);
            return found.with_context(|| format!("node {name} is simulated: it has no containerd"));
        }
        let known = Node { name: node.name.clone(), address: node.address().map(str::to_owned) };
        if let Some(way) = nodes::of_cluster(&self.reach, &[known]).await.pop() {
            return Ok(way);
        }
        if is_here(node) {
            return Ok(Arc::new(Local::new(name)));
        }
        bail!("no way onto node {name} is given: use --ssh (or --ssh=USER@), which uses your own OpenSSH")
    }
}

/// Whether a node is this machine: it booted when this one did.
fn is_here(node: &KnownNode) -> bool {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let known = node.info("bootID");
    !known.is_empty() && boot.trim() == known && hostname.trim().split('.').next() == node.name.split('.').next()
}

fn percent(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
