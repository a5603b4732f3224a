//! Objects of the API as evidence: listed in pages, pruned while they come in, each kind one item.
//!
//! What may not be listed, or takes too long, becomes an item that says so. Invariant: memory holds one page of full
//! objects for each list that is under way, and beyond that only what is kept of them.

mod helm;
mod kinds;
mod prune;
mod words;

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use doctor::{Item, ItemKind, Origin};
use futures::StreamExt as _;
use kube::{Client, Error};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::kubeconfig::said;
use kinds::Listed;

/// How long one request may take before the API counts as not answering.
const ANSWER: Duration = Duration::from_secs(10);
/// How long one kind may take, with all its pages.
const KIND: Duration = Duration::from_secs(30);
/// Objects of one page.
const PAGE: u32 = 500;
/// Kinds that are listed at the same time; each takes a connection.
const AT_ONCE: usize = 6;
/// Pull secrets whose registries are told, at most.
const PULL_SECRETS: usize = 500;

/// What of a cluster is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    #[default]
    Cluster,
    /// One pod and what it depends on: namespace and name.
    Pod(String, String),
    /// Nodes, their pods and events: the one of this name, or all.
    Nodes(Option<String>),
    /// Everything, and what Helm installed.
    Upgrade,
    /// Only whether the API answers.
    Version,
}

/// What the API tells.
#[derive(Debug, Default)]
pub struct Seen {
    /// The evidence.
    pub items: Vec<Item>,
    /// Names of the nodes.
    pub nodes: Vec<Node>,
    /// Whether the API answered.
    pub reached: bool,
}

/// A node as the API knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its internal address, if it has one.
    pub address: Option<String>,
}

/// One kind's objects as they are kept.
struct Kept {
    listed: Listed,
    version: String,
    /// Each object's text, with the object that it is about if it is an event.
    objects: Vec<(Option<String>, String)>,
    /// Uids of pods.
    uids: HashSet<String>,
    /// Nodes.
    nodes: Vec<Node>,
    /// Items beside the list.
    beside: Vec<Item>,
    /// Why it ended early.
    failed: Option<String>,
}

/// Collects the scope's objects. `server` is told in messages.
pub async fn collect(client: &Client, server: &str, scope: &Scope) -> Seen {
    let version = match get(client, "/version").await {
        Ok(version) => version,
        Err(error) => return unreachable(&error, server),
    };
    let version = version["gitVersion"].as_str().unwrap_or("unknown").to_owned();
    let mut items = vec![said("kubectl version", format!("Server Version: {version}"))];
    if *scope == Scope::Version {
        return Seen { items, nodes: Vec::new(), reached: true };
    }
    let served = match served(client).await {
        Ok(served) => served,
        Err(error) => {
            // Without discovery every kind is tried in its best version.
            items.push(unavailable("kubectl api-versions", words::kubectl(&error, server)));
            BTreeMap::new()
        }
    };
    let wanted = kinds::ALL.iter().filter(|listed| wants(scope, listed));
    let lists = wanted.filter_map(|listed| Some((*listed, version_of(listed, &served)?)));
    let lists: Vec<_> = lists.map(|(listed, version)| list(client, server, scope, listed, version)).collect();
    let kept: Vec<Kept> = futures::stream::iter(lists).buffered(AT_ONCE).collect().await;
    let mut seen = assembled(items, kept, scope);
    if *scope == Scope::Upgrade {
        seen.items.extend(helm::releases(client, server).await);
    }
    seen
}

fn wants(scope: &Scope, listed: &Listed) -> bool {
    match scope {
        Scope::Cluster | Scope::Upgrade => true,
        Scope::Pod(..) => listed.of_pods,
        Scope::Version => false,
        Scope::Nodes(_) => matches!(listed.kind, "Node" | "Pod" | "Event"),
    }
}

/// What is told of an API that can't be asked.
pub fn unreachable(error: &Error, server: &str) -> Seen {
    let words = words::kubectl(error, server);
    let why = unavailable(&format!("API server {server}"), words.clone());
    Seen { items: vec![said("kubectl version", words), why], ..Seen::default() }
}

fn unavailable(origin: &str, why: String) -> Item {
    Item { kind: ItemKind::Unavailable, origin: Origin(origin.to_owned()), text: why }
}

/// One request, with its time limit. Bodies are parsed here: the client would log them when they are broken.
async fn get(client: &Client, path: &str) -> Result<Value, Error> {
    let request = http::Request::get(path).header(http::header::ACCEPT, "application/json").body(Vec::new());
    let request = request.map_err(Error::HttpError)?;
    let text = tokio::time::timeout(ANSWER, client.request_text(request)).await;
    let text =
        text.map_err(|elapsed| Error::Service(Box::new(std::io::Error::new(std::io::ErrorKind::TimedOut, elapsed))))??;
    serde_json::from_str(&text).map_err(Error::SerdeError)
}

/// Versions of each group that the API serves.
async fn served(client: &Client) -> Result<BTreeMap<String, Vec<String>>, Error> {
    let groups = get(client, "/apis").await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let groups = groups["groups"].as_array().into_iter().flatten();
    Ok(groups
        .map(|group| {
            let versions = group["versions"].as_array().into_iter().flatten();
            (text(&group["name"]), versions.map(|version| text(&version["version"])).collect())
        })
        .collect())
}

/// The version in which a kind is listed; `None` if its group is not served.
fn version_of(listed: &Listed, served: &BTreeMap<String, Vec<String>>) -> Option<&'static str> {
    if listed.group.is_empty() || served.is_empty() {
        return listed.versions.first().copied();
    }
    let there = served.get(listed.group)?;
    listed.versions.iter().find(|version| there.iter().any(|one| one == *version)).copied()
}

async fn list(client: &Client, server: &str, scope: &Scope, listed: Listed, version: &str) -> Kept {
    let mut kept = Kept {
        listed,
        version: version.to_owned(),
        objects: Vec::new(),
        uids: HashSet::new(),
        nodes: Vec::new(),
        beside: Vec::new(),
        failed: None,
    };
    let base = format!("{}?limit={PAGE}{}", listed.path(version, namespace(scope)), selector(scope, &listed));
    let end = Instant::now() + KIND;
    let mut next = Some(base.clone());
    while let Some(path) = next.take() {
        match timeout_at(end, get(client, &path)).await {
            Ok(Ok(mut page)) => {
                let more = page["metadata"]["continue"].as_str().unwrap_or_default();
                let token = percent_encoding::utf8_percent_encode(more, percent_encoding::NON_ALPHANUMERIC);
                next = (!more.is_empty()).then(|| format!("{base}&continue={token}"));
                if let Value::Array(objects) = page["items"].take() {
                    objects.into_iter().for_each(|object| kept.keep(object));
                }
            }
            // The list's revision was compacted away while it was read: once more, in one piece.
            Ok(Err(Error::Api(status))) if status.code == 410 && path != base => {
                kept.forget();
                next = Some(base.replace(&format!("limit={PAGE}"), "limit=0"));
            }
            // The kind itself is not served, though its group is.
            Ok(Err(Error::Api(status))) if status.code == 404 => return kept,
            Ok(Err(error)) => kept.failed = Some(words::kubectl(&error, server)),
            Err(_) => kept.failed = Some(format!("it took longer than {} s", KIND.as_secs())),
        }
    }
    kept
}

fn namespace(scope: &Scope) -> Option<&str> {
    match scope {
        Scope::Pod(namespace, _) => Some(namespace),
        _ => None,
    }
}

fn selector(scope: &Scope, listed: &Listed) -> String {
    let fields = match (scope, listed.kind) {
        (Scope::Pod(_, name), "Pod") => format!("metadata.name={name}"),
        (Scope::Pod(_, name), "Event") => format!("involvedObject.name={name}"),
        (Scope::Nodes(Some(name)), "Node") => format!("metadata.name={name}"),
        (Scope::Nodes(Some(name)), "Pod") => format!("spec.nodeName={name}"),
        _ => listed.selector.to_owned(),
    };
    if fields.is_empty() {
        return String::new();
    }
    format!("&fieldSelector={}", percent_encoding::utf8_percent_encode(&fields, percent_encoding::NON_ALPHANUMERIC))
}

impl Kept {
    fn keep(&mut self, mut object: Value) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        match self.listed.kind {
            "Pod" => drop(self.uids.insert(text(&object["metadata"]["uid"]))),
            "Node" => {
                let addresses = object["status"]["addresses"].as_array().into_iter().flatten();
                let address =
                    addresses.filter(|one| one["type"] == "InternalIP").map(|one| text(&one["address"])).next();
                self.nodes.push(Node { name: text(&object["metadata"]["name"]), address });
            }
            "Secret" if self.beside.len() < PULL_SECRETS => self.beside.extend(registries(&object)),
            _ => {}
        }
        let subject = &object["involvedObject"];
        let about = (self.listed.kind == "Event" && subject["kind"] == "Pod").then(|| text(&subject["uid"]));
        (self.listed.prune)(&mut object);
        // Items of a list have no kind of their own.
        if let Some(fields) = object.as_object_mut() {
            fields.insert("kind".to_owned(), self.listed.kind.into());
            fields.insert("apiVersion".to_owned(), self.listed.api_version(&self.version).into());
        }
        self.objects.push((about, object.to_string()));
    }

    fn forget(&mut self) {
        self.objects.clear();
        self.uids.clear();
        self.nodes.clear();
        self.beside.clear();
    }
}

/// The hosts that a pull secret is for, as one gets them with kubectl and jq.
fn registries(secret: &Value) -> Option<Item> {
    let hosts = prune::registries(secret)?;
    let metadata = &secret["metadata"];
    let (namespace, name) = (metadata["namespace"].as_str()?, metadata["name"].as_str()?);
    let origin = format!(
        r#"kubectl get secret {name} -n {namespace} -o jsonpath="{{.data.\.dockerconfigjson}}" | base64 -d | jq ".auths|keys""#
    );
    let text = serde_json::to_string_pretty(&hosts).ok()?;
    Some(Item { kind: ItemKind::KubectlOutput, origin: Origin(origin), text: format!("{text}\n") })
}

/// Puts the kinds together; events about pods that are gone say nothing about the cluster as it is.
fn assembled(mut items: Vec<Item>, kept: Vec<Kept>, scope: &Scope) -> Seen {
    let pods: Option<HashSet<String>> =
        kept.iter().find(|one| one.listed.kind == "Pod" && one.failed.is_none()).map(|one| one.uids.clone());
    let mut nodes = Vec::new();
    for mut one in kept {
        nodes.append(&mut one.nodes);
        let command = one.listed.command(namespace(scope));
        if let Some(why) = one.failed {
            items.push(unavailable(&command, why));
            // A part of a list would look like the whole.
            continue;
        }
        let is_there = |uid: &String| uid.is_empty() || pods.as_ref().is_none_or(|pods| pods.contains(uid));
        let texts = one.objects.into_iter().filter(|(about, _)| about.as_ref().is_none_or(is_there));
        let mut text = format!(
            "{{\"kind\":\"{}List\",\"apiVersion\":\"{}\",\"items\":[",
            one.listed.kind,
            one.listed.api_version(&one.version)
        );
        for (number, (_, object)) in texts.enumerate() {
            text.push_str(if number == 0 { "\n" } else { ",\n" });
            text.push_str(&object);
        }
        text.push_str("\n]}\n");
        items.push(Item { kind: ItemKind::Objects, origin: Origin(command), text });
        items.append(&mut one.beside);
    }
    Seen { items, nodes, reached: true }
}
