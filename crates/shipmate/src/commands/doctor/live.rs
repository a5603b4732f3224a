//! Evidence of a cluster and of this machine, as it is now.
//!
//! What can't be reached does not keep the rest from being looked at: without a cluster the kubeconfig is still there,
//! and without a way onto the nodes the API is.

use std::sync::Arc;

use anyhow::bail;
use doctor::{Evidence, Item, ItemKind, Origin};
use operate::access::{Access, Local};
use operate::change::Ground;
use operate::collect::{Scope, Seen as Api, api, node};
use operate::kubeconfig::{Choice, Chosen};

use super::Seen;
use crate::cli::doctor::{Doctor, Subject};
use crate::cli::reach::Reach;
use crate::nodes;

/// Collects what the subject needs; everything without a subject.
pub(super) async fn collect(arguments: &Doctor) -> anyhow::Result<Seen> {
    let choice = Choice::from_environment(arguments.reach.kubeconfig.clone(), arguments.reach.context.clone());
    match &arguments.subject {
        None => cluster(&arguments.reach, &choice, Scope::Cluster).await,
        Some(Subject::Pod(pod)) => {
            let scope = pod_scope(&choice, &pod.pod).await?;
            cluster(&arguments.reach, &choice, scope).await
        }
        Some(Subject::Node(node)) => cluster(&arguments.reach, &choice, Scope::Nodes(node.node.clone())).await,
        Some(Subject::Kubeconfig) => kubeconfig(&choice).await,
        Some(Subject::Upgrade(upgrade)) => {
            let Seen { evidence, ground } = cluster(&arguments.reach, &choice, Scope::Upgrade).await?;
            let mut items = evidence.into_items();
            items.extend(super::given::manifest_items(&upgrade.paths)?);
            let origin = Origin(format!("shipmate doctor upgrade --to 1.{}", upgrade.to));
            items.push(Item { kind: ItemKind::NodeFacts, origin, text: format!("target: 1.{}\n", upgrade.to) });
            Ok(Seen { evidence: Evidence::new(items).for_minor(upgrade.to), ground })
        }
        Some(Subject::Preflight) => Ok(preflight().await),
        Some(Subject::Image(_) | Subject::Manifests(_) | Subject::Text(_) | Subject::Undo(_)) => {
            bail!("this subject does not look at a cluster")
        }
    }
}

/// `NAMESPACE/NAME`, or `NAME` in the context's namespace.
async fn pod_scope(choice: &Choice, pod: &str) -> anyhow::Result<Scope> {
    if let Some((namespace, name)) = pod.split_once('/') {
        return Ok(Scope::Pod(namespace.to_owned(), name.to_owned()));
    }
    let namespace = choice.choose().await.map(|chosen| chosen.config.default_namespace);
    Ok(Scope::Pod(namespace.unwrap_or_else(|_| "default".to_owned()), pod.to_owned()))
}

/// The kubeconfig, and whether what it chooses answers.
async fn kubeconfig(choice: &Choice) -> anyhow::Result<Seen> {
    let mut items = choice.evidence();
    match choice.choose().await {
        Ok(chosen) => items.extend(api_of(&chosen, &Scope::Version).await.1.items),
        Err(refused) => items.push(said(refused.to_string())),
    }
    Ok(Seen { evidence: Evidence::new(items), ground: Ground::here() })
}

/// This machine, as a node that has to be.
async fn preflight() -> Seen {
    let name = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let here: Arc<dyn Access> = Arc::new(Local::new(name));
    let mut items = node::collect(here.as_ref()).await;
    items.extend(node::preflight(here.as_ref()).await);
    Seen { evidence: Evidence::new(items), ground: Ground::here().with_node(here) }
}

/// A cluster: its kubeconfig, its API, its nodes.
async fn cluster(reach: &Reach, choice: &Choice, scope: Scope) -> anyhow::Result<Seen> {
    let mut items = choice.evidence();
    let mut ground = Ground::here();
    let chosen = match choice.choose().await {
        Ok(chosen) => chosen,
        Err(refused) => {
            items.push(said(refused.to_string()));
            items.push(unavailable("API server", "no cluster is chosen".to_owned()));
            let ways = local(reach);
            items.extend(node::collect_all(&ways).await);
            return Ok(Seen { evidence: Evidence::new(items), ground: with_nodes(ground, ways) });
        }
    };
    let sandbox = nodes::sandbox_of(&chosen);
    let (client, seen, ways, told) = match &sandbox {
        // Its nodes are known without asking its API.
        Some(cluster) => {
            let ways = picked(nodes::of_sandbox(cluster), &scope);
            let ((client, seen), told) = tokio::join!(api_of(&chosen, &scope), node::collect_all(&ways));
            (client, seen, ways, told)
        }
        None => {
            let (client, seen) = api_of(&chosen, &scope).await;
            let mut ways = nodes::of_cluster(reach, &seen.nodes).await;
            if ways.is_empty() {
                ways = local(reach);
            }
            let told = node::collect_all(&ways).await;
            (client, seen, ways, told)
        }
    };
    if let Scope::Nodes(Some(name)) = &scope
        && seen.reached
        && seen.nodes.is_empty()
    {
        bail!("there is no node {name}: `kubectl get nodes` lists them");
    }
    if let Scope::Pod(namespace, name) = &scope
        && seen.reached
        && !seen.items.iter().any(|item| is_pod(item, name))
    {
        bail!("there is no pod {namespace}/{name}: `kubectl get pods -n {namespace}` lists them");
    }
    let unseen = seen.nodes.iter().filter(|node| !ways.iter().any(|way| way.node() == node.name)).count();
    items.extend(seen.items);
    items.extend(told);
    if unseen > 0 && sandbox.is_none() {
        items.push(unavailable(
            "nodes",
            format!(
                "{unseen} nodes are known from the API only: add --ssh to look at their runtime, files and journals"
            ),
        ));
    }
    if let Some(client) = client {
        ground = ground.with_client(client);
    }
    Ok(Seen { evidence: Evidence::new(items), ground: with_nodes(ground, ways) })
}

fn is_pod(item: &Item, name: &str) -> bool {
    item.kind == ItemKind::Objects && item.text.contains("\"kind\":\"Pod\"") && item.text.contains(name)
}

/// The API's evidence, and a client for changes.
async fn api_of(chosen: &Chosen, scope: &Scope) -> (Option<kube::Client>, Api) {
    let server = chosen.config.cluster_url.to_string();
    match kube::Client::try_from(chosen.config.clone()) {
        Ok(client) => {
            let seen = api::collect(&client, server.trim_end_matches('/'), scope).await;
            (Some(client), seen)
        }
        Err(error) => (None, api::unreachable(&error, &server)),
    }
}

/// This machine, if the user says that it is a node.
fn local(reach: &Reach) -> Vec<Arc<dyn Access>> {
    reach.local.iter().map(|name| Arc::new(Local::new(name)) as Arc<dyn Access>).collect()
}

/// Of the nodes, those that the scope is about.
fn picked(ways: Vec<Arc<dyn Access>>, scope: &Scope) -> Vec<Arc<dyn Access>> {
    match scope {
        Scope::Nodes(Some(name)) => ways.into_iter().filter(|way| way.node() == name).collect(),
        _ => ways,
    }
}

fn with_nodes(ground: Ground, ways: Vec<Arc<dyn Access>>) -> Ground {
    ways.into_iter().fold(ground, Ground::with_node)
}

/// What kubectl would say.
fn said(words: String) -> Item {
    Item { kind: ItemKind::KubectlOutput, origin: Origin("kubectl get nodes".to_owned()), text: format!("{words}\n") }
}

fn unavailable(origin: &str, why: String) -> Item {
    Item { kind: ItemKind::Unavailable, origin: Origin(origin.to_owned()), text: why }
}

/// The ways onto these nodes, and to the API if `objects` are to be changed. For undoing what was done there.
pub(super) async fn ground(arguments: &Doctor, nodes: Vec<String>, objects: bool) -> anyhow::Result<Ground> {
    let mut ground = Ground::here();
    if nodes.is_empty() && !objects {
        return Ok(ground);
    }
    let choice = Choice::from_environment(arguments.reach.kubeconfig.clone(), arguments.reach.context.clone());
    let chosen = choice.choose().await?;
    if objects {
        ground = ground.with_client(kube::Client::try_from(chosen.config.clone())?);
    }
    let ways = match nodes::sandbox_of(&chosen) {
        Some(cluster) => nodes::of_sandbox(&cluster),
        None => {
            let named = nodes.iter().map(|name| api::Node { name: name.clone(), address: None });
            nodes::of_cluster(&arguments.reach, &named.collect::<Vec<_>>()).await
        }
    };
    Ok(with_nodes(ground, ways.into_iter().filter(|way| nodes.iter().any(|name| name == way.node())).collect()))
}
