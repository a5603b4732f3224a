//! `shipmate image seeded`: what was staged where, whether it is still there, and whether its tag has moved since.

use std::process::ExitCode;

use cri::import::{ImageName, Version};
use futures::stream::{self, StreamExt as _};
use operate::registry::Repository;
use operate::seed::{NodeSeed, NodeState, Presence, Receipt, presence};
use serde_json::json;

use super::credentials::{Asker, here};
use super::{receipts, short, ways};
use crate::cli::Format;
use crate::cli::seed::ImageSeeded;
use crate::output;
use crate::reach::{self, Reached};

const AT_A_TIME: usize = 16;

struct Row {
    image: String,
    seed: NodeSeed,
    on_node: String,
    upstream: String,
}

pub(super) async fn run(arguments: &ImageSeeded) -> anyhow::Result<ExitCode> {
    let wanted: Option<ImageName> = arguments.reference.as_deref().map(str::parse).transpose()?;
    let reached = reach::connect(&arguments.reach).await?;
    let mut receipts = receipts(&reached)?.of_cluster(&reached.identity().await)?;
    receipts.retain(|receipt| wanted.as_ref().is_none_or(|name| name.to_string() == receipt.reference));
    let asker = Asker::new(&arguments.ask)?;
    let mut rows = Vec::new();
    for receipt in &receipts {
        let seeds: Vec<NodeSeed> =
            receipt.nodes.iter().filter(|seed| seed.state != NodeState::Removed).cloned().collect();
        if seeds.is_empty() {
            continue;
        }
        let upstream = upstream(receipt, arguments.offline, &asker, &reached).await;
        let found = on_nodes(&reached, &seeds, arguments.offline).await;
        for (seed, on_node) in seeds.into_iter().zip(found) {
            let upstream = match &upstream {
                Ok(digest) if *digest == seed.digest => "same".to_owned(),
                Ok(digest) => format!("moved to {}: seed it again", short(digest)),
                Err(why) => format!("not checked: {why}"),
            };
            rows.push(Row { image: receipt.reference.clone(), seed, on_node, upstream });
        }
    }
    print(&rows, arguments.output.output)?;
    Ok(ExitCode::SUCCESS)
}

/// The digest that the tag points at now.
async fn upstream(receipt: &Receipt, offline: bool, asker: &Asker<'_>, reached: &Reached) -> Result<String, String> {
    if offline {
        return Err("--offline".to_owned());
    }
    if let Some(archive) = &receipt.archive {
        return Err(format!("it came from {archive}"));
    }
    let name: ImageName = receipt.reference.parse().map_err(|error| format!("{error}"))?;
    if let Version::Digest(digest) = &name.version {
        return Ok(digest.clone());
    }
    let options = asker.options(&name, reached).await;
    let mut options = options.map_err(|error| format!("{error:#}"))?;
    options.plain_http |= receipt.plain_http;
    let asked = async {
        let repository = Repository::of(&name, here(&options), &options)?;
        repository.digest(&name).await
    };
    asked.await.map(|digest| digest.to_string()).map_err(|error| error.to_string())
}

/// What is on each node now, in words.
async fn on_nodes(reached: &Reached, seeds: &[NodeSeed], offline: bool) -> Vec<String> {
    if offline {
        return seeds.iter().map(|_| "not checked: --offline".to_owned()).collect();
    }
    let nodes = match reached.nodes(None).await {
        Ok(nodes) => nodes,
        Err(error) => return seeds.iter().map(|_| format!("not checked: {error:#}")).collect(),
    };
    let ways = ways(reached, &nodes).await;
    let one = |seed: NodeSeed| {
        let target = ways.targets.iter().find(|target| target.node() == seed.node);
        let why = ways.without.iter().find(|(node, _)| *node == seed.node).map(|(_, why)| why.clone());
        async move {
            let Some(target) = target else {
                let why = why.unwrap_or_else(|| "the node is not in the cluster any more".to_owned());
                return format!("not checked: {why}");
            };
            match presence(target, &seed).await {
                Ok(Presence::There { .. }) if seed.state == NodeState::Begun => {
                    "there, not verified: seed again".to_owned()
                }
                Ok(Presence::There { pinned: true }) => "there, pinned".to_owned(),
                Ok(Presence::There { pinned: false }) => "there, not pinned any more".to_owned(),
                Ok(Presence::Moved { digest }) => format!("now {}", short(&digest)),
                Ok(Presence::Gone) => "gone: seed it again".to_owned(),
                Err(error) => format!("not checked: {error}"),
            }
        }
    };
    stream::iter(seeds.to_vec()).map(one).buffered(AT_A_TIME).collect().await
}

fn print(rows: &[Row], format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        let one = |row: &Row| {
            json!({"image": row.image, "node": row.seed.node, "state": row.seed.state, "at": row.seed.at,
                "digest": row.seed.digest, "onNode": row.on_node, "upstream": row.upstream})
        };
        return output::print_json(&rows.iter().map(one).collect::<Vec<_>>());
    }
    if rows.is_empty() {
        eprintln!("nothing is seeded into this cluster from here");
        return Ok(());
    }
    let row = |row: &Row| {
        let digest = short(&row.seed.digest);
        vec![
            row.image.clone(),
            row.seed.node.clone(),
            row.seed.at.clone(),
            digest,
            row.on_node.clone(),
            row.upstream.clone(),
        ]
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    output::print_table(&["IMAGE", "NODE", "AT", "DIGEST", "ON THE NODE", "UPSTREAM"], &rows)
}
