//! The sandbox that a drill happens in, and what drills do with it.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::discovery::{Scope, pinned_kind};
use kube::{Api, Client};
use sandbox::layout::Home;
use sandbox::node::Node;
use sandbox::{Cluster, Sandbox, images};
use serde_json::{Value, json};

use crate::client;

/// Where a node's containerd has its configuration.
pub(crate) const CONFIG: &str = "/etc/containerd/config.toml";
/// How often something that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// A running sandbox with two nodes.
pub(crate) struct Stage {
    home: Home,
    cluster: Cluster,
}

impl Stage {
    /// The stage in a cluster.
    pub(crate) fn of(home: Home, cluster: Cluster) -> Self {
        Self { home, cluster }
    }

    /// The cluster.
    pub(crate) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// A directory for the drill's own files; it goes with the cluster.
    pub(crate) fn dir(&self) -> anyhow::Result<PathBuf> {
        let dir = self.cluster.dir().path().join("drill");
        std::fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        Ok(dir)
    }

    /// A node, from 1.
    pub(crate) fn node(&self, number: usize) -> anyhow::Result<Node> {
        let nodes = self.cluster.nodes();
        nodes.into_iter().nth(number - 1).with_context(|| format!("the drill's cluster has no node {number}"))
    }

    /// A node's address.
    pub(crate) fn address(&self, number: usize) -> anyhow::Result<Ipv4Addr> {
        let network = self.cluster.config().network().context("the drill's cluster has no network")?;
        Ok(network.node_ip(self.node(number)?.config()))
    }

    /// A file of a node, as seen from this machine.
    pub(crate) fn file(&self, number: usize, path: &str) -> anyhow::Result<PathBuf> {
        Ok(self.node(number)?.dir().private(path))
    }

    /// Reads a file of a node.
    pub(crate) fn read(&self, number: usize, path: &str) -> anyhow::Result<String> {
        let file = self.file(number, path)?;
        std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))
    }

    /// Writes a file of a node.
    pub(crate) fn write(&self, number: usize, path: &str, text: &str) -> anyhow::Result<()> {
        let file = self.file(number, path)?;
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
        }
        std::fs::write(&file, text).with_context(|| format!("write {}", file.display()))
    }

    /// Changes a node's containerd configuration; does not restart containerd.
    pub(crate) fn configure(&self, number: usize, change: impl FnOnce(String) -> String) -> anyhow::Result<()> {
        let text = self.read(number, CONFIG)?;
        self.write(number, CONFIG, &change(text))
    }

    /// Restarts a node's containerd; an error when it does not serve the CRI afterwards.
    pub(crate) fn restart(&self, number: usize) -> anyhow::Result<()> {
        let node = self.node(number)?;
        let Some(sandbox) = Sandbox::open(&self.home, &self.cluster.config().name)? else {
            bail!("the drill's cluster is gone: `shipmate drill reset` tidies up");
        };
        Ok(sandbox.restart_containerd(node.config().name.as_str())?)
    }

    /// Runs a program inside a node to its end; what it printed.
    pub(crate) fn run(&self, number: usize, program: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let node = self.node(number)?;
        let namespaces = node.namespaces()?.with_context(|| format!("node {} does not run", node.config().name))?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child =
            namespaces.spawn(command).with_context(|| format!("run `{program}` on node {}", node.config().name))?;
        let output = child.wait_with_output().with_context(|| format!("wait for `{program}`"))?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("`{program} {}` on node {}: {}", arguments.join(" "), node.config().name, words.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Whether a node's containerd serves the CRI.
    pub(crate) fn serves_cri(&self, number: usize) -> anyhow::Result<bool> {
        let socket = self.node(number)?.dir().cri_socket();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(async { cri::Runtime::new(socket)?.version().await }).is_ok())
    }

    /// Does something with a client of the cluster.
    pub(crate) fn with_client<T, F>(&self, work: impl FnOnce(Client) -> F) -> anyhow::Result<T>
    where
        F: Future<Output = anyhow::Result<T>>,
    {
        client::with(&self.cluster.access()?, work)
    }

    /// Creates objects, or replaces what of them differs.
    pub(crate) fn apply(&self, objects: &[Value]) -> anyhow::Result<()> {
        self.with_client(async |client| {
            for object in objects {
                apply(&client, object).await?;
            }
            Ok(())
        })
    }

    /// An object of the namespace `default`; `None` when there is none.
    pub(crate) fn get(&self, api_version: &str, kind: &str, name: &str) -> anyhow::Result<Option<Value>> {
        let wanted = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
        self.with_client(async |client| {
            let found = api(&client, &wanted).await?.get_opt(name).await?;
            Ok(found.map(serde_json::to_value).transpose()?)
        })
    }

    /// Whether the API server would take an object: asked by a dry run.
    pub(crate) fn would_take(&self, object: &Value) -> anyhow::Result<()> {
        self.with_client(async |client| {
            let asked = PostParams { dry_run: true, ..PostParams::default() };
            api(&client, object).await?.create(&asked, &serde_json::from_value(object.clone())?).await?;
            Ok(())
        })
    }

    /// How many events there are with this reason.
    pub(crate) fn events(&self, reason: &str) -> anyhow::Result<usize> {
        self.with_client(async |client| {
            let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Event"));
            let events: Api<DynamicObject> = Api::default_namespaced_with(client, &resource);
            Ok(events.list(&ListParams::default().fields(&format!("reason={reason}"))).await?.items.len())
        })
    }

    /// Pods with a label that are not Ready, and why.
    pub(crate) fn unready(&self, label: &str) -> anyhow::Result<Vec<String>> {
        let pods = self.pods(label)?;
        if pods.is_empty() {
            return Ok(vec![format!("there is no pod with the label {label}")]);
        }
        let unready = pods.iter().filter(|pod| !is_ready(pod));
        Ok(unready.map(|pod| format!("pod {} is not Ready: {}", text(&pod["metadata"]["name"]), reason(pod))).collect())
    }

    /// Pods with a label.
    pub(crate) fn pods(&self, label: &str) -> anyhow::Result<Vec<Value>> {
        self.with_client(async |client| {
            let pods: Api<DynamicObject> = Api::default_namespaced_with(client, &pods_resource());
            let found = pods.list(&ListParams::default().labels(label)).await?;
            Ok(found.items.into_iter().map(serde_json::to_value).collect::<Result<_, _>>()?)
        })
    }

    /// Deletes pods with a label, so that new ones are tried at once and not after a back-off.
    pub(crate) fn begin_anew(&self, label: &str) -> anyhow::Result<()> {
        self.with_client(async |client| {
            let pods: Api<DynamicObject> = Api::default_namespaced_with(client, &pods_resource());
            pods.delete_collection(&DeleteParams::default(), &ListParams::default().labels(label)).await?;
            Ok(())
        })
    }

    /// Waits until a look gives nothing any more, or something, as `until` says.
    pub(crate) fn wait(
        &self,
        what: &str,
        limit: Duration,
        mut until: impl FnMut(&Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + limit;
        while !until(self)? {
            if Instant::now() >= deadline {
                bail!("{what} did not come about within {} s", limit.as_secs());
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Waits until some pod with the label waits for this reason, such as `ErrImagePull`.
    pub(crate) fn wait_for_reason(&self, label: &str, reasons: &[&str]) -> anyhow::Result<()> {
        self.wait(&format!("a pod with {}", reasons.join(" or ")), Duration::from_secs(90), |stage| {
            Ok(stage.pods(label)?.iter().any(|pod| reasons.contains(&reason(pod).as_str())))
        })
    }
}

/// A deployment with one replica on each of the two nodes.
pub(crate) fn deployment(name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {
                "terminationGracePeriodSeconds": 1,
                "topologySpreadConstraints": [{
                    "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
                    "labelSelector": {"matchLabels": {"app": name}},
                }],
                "containers": [{"name": name, "image": image, "ports": [{"containerPort": 8080}]}],
            }},
        },
    })
}

/// The name of the sample's image in the nodes.
pub(crate) fn web() -> String {
    images::web_reference("1.0")
}

fn pods_resource() -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "Pod"))
}

async fn api(client: &Client, object: &Value) -> anyhow::Result<Api<DynamicObject>> {
    let (group, version) = match text(&object["apiVersion"]).split_once('/') {
        Some((group, version)) => (group.to_owned(), version.to_owned()),
        None => (String::new(), text(&object["apiVersion"])),
    };
    let kind = GroupVersionKind::gvk(&group, &version, &text(&object["kind"]));
    let (resource, capabilities) = pinned_kind(client, &kind).await?;
    Ok(match (capabilities.scope, object["metadata"]["namespace"].as_str()) {
        (Scope::Cluster, _) => Api::all_with(client.clone(), &resource),
        (Scope::Namespaced, Some(namespace)) => Api::namespaced_with(client.clone(), namespace, &resource),
        (Scope::Namespaced, None) => Api::default_namespaced_with(client.clone(), &resource),
    })
}

async fn apply(client: &Client, object: &Value) -> anyhow::Result<()> {
    let name = text(&object["metadata"]["name"]);
    let api = api(client, object).await?;
    let created = api.create(&PostParams::default(), &serde_json::from_value(object.clone())?).await;
    match created {
        Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {
            api.patch(&name, &PatchParams::default(), &Patch::Merge(object)).await?;
            Ok(())
        }
        result => Ok(result.map(drop)?),
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.filter(|one| one["type"] == "Ready").any(|one| one["status"] == "True")
}

/// Why a pod is not Ready, as `kubectl get pods` says it.
pub(crate) fn reason(pod: &Value) -> String {
    let containers = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    let states = containers.flat_map(|one| [&one["state"]["waiting"], &one["state"]["terminated"]]);
    let reason = states.filter_map(|state| state["reason"].as_str()).next();
    reason.map_or_else(|| text(&pod["status"]["phase"]), str::to_owned)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
