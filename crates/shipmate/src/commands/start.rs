//! `shipmate start`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::bail;
use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use sandbox::config::Nodes;
use sandbox::layout::{Home, Name};
use sandbox::{Cluster, NewNodes, Sandbox, kubeconfig};

use super::launch::{Launch, Progress};
use super::sample;
use crate::cli::Start;
use crate::{client, output};

/// How long nodes may take to become Ready.
const READY: Duration = Duration::from_secs(60);

pub(crate) fn run(arguments: &Start) -> anyhow::Result<()> {
    let started = Instant::now();
    let home = Home::from_env()?;
    let name: Name = arguments.which.name.parse()?;
    let progress = Progress::new(&format!("starting cluster {name}"));
    let (sandbox, new) = open_or_create(&home, &name, arguments.nodes.as_deref())?;
    let (since, stopped) = (Timestamp::now(), stopped_nodes(sandbox.cluster()));
    sandbox.ensure_running(&Launch(&progress))?;
    let access = sandbox.cluster().access()?;
    progress.step("waiting for nodes to be Ready");
    let nodes = match &sandbox.cluster().config().nodes {
        Nodes::Real { nodes, .. } => nodes.iter().map(|node| node.name.to_string()).collect(),
        Nodes::Simulated { count } => (1..=*count).map(|number| format!("{name}-sim-{number}")).collect(),
    };
    let mut waited_for = WaitedFor { renewal: stopped, since, ready: nodes };
    client::with(&access, async |client| wait_ready(client, &mut waited_for).await)?;
    let file = sandbox.write_kubeconfig(&kubeconfig::files()?)?;
    let created = if new { "created and " } else { "" };
    progress.done(&format!(
        "cluster {name} is {created}running ({:.1} s); kubectl's current context is {name}, in {}",
        started.elapsed().as_secs_f32(),
        file.display()
    ));
    if arguments.sample {
        let progress = Progress::new("deploying the sample application");
        let url = client::with(&access, async |client| sample::deploy(client, sandbox.cluster().config()).await)?;
        progress.done("the sample application runs");
        output::print(&sample::what_next(&url))?;
    }
    Ok(())
}

/// Creates and starts a cluster, and makes it kubectl's current context, as `start` does.
pub(super) fn create(name: &Name, nodes: u32) -> anyhow::Result<()> {
    run(&Start { which: crate::cli::Which { name: name.to_string() }, nodes: Some(nodes.to_string()), sample: false })
}

/// Whether it is new, and the cluster with its lock.
fn open_or_create(home: &Home, name: &Name, nodes: Option<&str>) -> anyhow::Result<(Sandbox, bool)> {
    let wanted = nodes.map(parse_nodes).transpose()?;
    let Some(sandbox) = Sandbox::open(home, name)? else {
        let nodes = wanted.unwrap_or(NewNodes::Real(1));
        return Ok((Sandbox::create(home, name, nodes)?, true));
    };
    let present = match &sandbox.cluster().config().nodes {
        Nodes::Real { nodes, .. } => NewNodes::Real(u32::try_from(nodes.len()).unwrap_or(u32::MAX)),
        Nodes::Simulated { count } => NewNodes::Simulated(*count),
    };
    if wanted.is_some_and(|wanted| wanted != present) {
        bail!(
            "cluster {name} exists with other nodes, and the nodes of a cluster can't be changed: \
             leave `--nodes` out to start it, or choose another `--name`"
        );
    }
    Ok((sandbox, false))
}

fn parse_nodes(text: &str) -> anyhow::Result<NewNodes> {
    let (count, make): (&str, fn(u32) -> NewNodes) = match text.strip_prefix("simulated:") {
        Some(count) => (count, NewNodes::Simulated),
        None => (text, NewNodes::Real),
    };
    match count.parse() {
        Ok(count @ 1..) => Ok(make(count)),
        _ => bail!("`--nodes {text}` makes no sense: give a number of nodes, or `simulated:N`"),
    }
}

/// The real nodes whose process does not run.
fn stopped_nodes(cluster: &Cluster) -> BTreeSet<String> {
    let nodes = cluster.status().nodes.into_iter();
    nodes.filter(|node| node.kubelet.is_none()).map(|node| node.node.name.to_string()).collect()
}

/// What nodes have yet to do.
struct WaitedFor {
    /// Nodes that have to renew their lease after `since`: those that were stopped, whose conditions are from before.
    renewal: BTreeSet<String>,
    since: Timestamp,
    /// Nodes that have to be Ready.
    ready: BTreeSet<String>,
}

async fn wait_ready(client: Client, waited_for: &mut WaitedFor) -> anyhow::Result<()> {
    if let Ok(()) = tokio::time::timeout(READY, watch_nodes(client, waited_for)).await {
        return Ok(());
    }
    let nodes: Vec<&str> = waited_for.renewal.union(&waited_for.ready).map(String::as_str).collect();
    bail!(
        "nodes {} are not Ready after {} s: `shipmate logs --node NODE` shows what they say",
        nodes.join(", "),
        READY.as_secs()
    );
}

/// Returns when nothing is waited for any more. A node renews its lease after it has reported its conditions.
async fn watch_nodes(client: Client, waited_for: &mut WaitedFor) {
    let leases = Api::<Lease>::namespaced(client.clone(), "kube-node-lease");
    let leases = watcher(leases, watcher::Config::default()).default_backoff().applied_objects();
    let mut leases = std::pin::pin!(leases);
    while !waited_for.renewal.is_empty() {
        // A lost watch is taken up again by the stream itself.
        let Some(Ok(lease)) = leases.next().await else { continue };
        let renewed = lease.spec.as_ref().and_then(|spec| spec.renew_time.as_ref());
        if renewed.is_some_and(|time| time.0 >= waited_for.since) {
            waited_for.renewal.remove(&lease.name_any());
        }
    }
    let nodes = watcher(Api::<Node>::all(client), watcher::Config::default()).default_backoff().applied_objects();
    let mut nodes = std::pin::pin!(nodes);
    while !waited_for.ready.is_empty() {
        if let Some(Ok(node)) = nodes.next().await
            && ready(&node)
        {
            waited_for.ready.remove(&node.name_any());
        }
    }
}

fn ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|all| all.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_nodes_are_read() {
        assert_eq!(parse_nodes("3").unwrap(), NewNodes::Real(3));
        assert_eq!(parse_nodes("simulated:100").unwrap(), NewNodes::Simulated(100));
        for text in ["", "0", "-1", "two", "simulated:", "simulated:0", "1.5"] {
            assert!(parse_nodes(text).is_err(), "{text}");
        }
    }
}
