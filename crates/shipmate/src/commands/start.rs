//! `shipmate start`.

use std::time::{Duration, Instant};

use anyhow::bail;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Node;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use sandbox::config::Nodes;
use sandbox::layout::{Home, Name};
use sandbox::{NewNodes, Sandbox, kubeconfig};

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
    sandbox.ensure_running(&Launch(&progress))?;
    let access = sandbox.cluster().access()?;
    progress.step("waiting for nodes to be Ready");
    let nodes = match &sandbox.cluster().config().nodes {
        Nodes::Real { nodes, .. } => nodes.iter().map(|node| node.name.to_string()).collect(),
        Nodes::Simulated { count } => (1..=*count).map(|number| format!("{name}-sim-{number}")).collect(),
    };
    client::with(&access, async |client| wait_ready(client, nodes).await)?;
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

/// Returns when all these nodes are Ready.
async fn wait_ready(client: Client, mut waited_for: Vec<String>) -> anyhow::Result<()> {
    let events = watcher(Api::<Node>::all(client), watcher::Config::default()).default_backoff().applied_objects();
    let mut events = std::pin::pin!(events);
    let waiting = async {
        while !waited_for.is_empty() {
            // A lost watch is taken up again by the stream itself.
            if let Some(Ok(node)) = events.next().await
                && ready(&node)
            {
                waited_for.retain(|name| *name != node.name_any());
            }
        }
    };
    if tokio::time::timeout(READY, waiting).await.is_err() {
        bail!(
            "nodes {} are not Ready after {} s: `shipmate logs --node NODE` shows what they say",
            waited_for.join(", "),
            READY.as_secs()
        );
    }
    Ok(())
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
