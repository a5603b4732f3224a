//! `shipmate image unseed`.

use std::collections::BTreeSet;
use std::process::ExitCode;

use anyhow::bail;
use cri::import::ImageName;
use futures::stream::{self, StreamExt as _};
use operate::seed::{NodeSeed, NodeState, Receipt, Removal, StockError, unstage};
use serde_json::json;

use super::{now, receipts, short, ways};
use crate::cli::Format;
use crate::cli::seed::ImageUnseed;
use crate::output;
use crate::reach;

/// Nodes that are asked at a time.
const AT_A_TIME: usize = 16;

pub(super) async fn run(arguments: &ImageUnseed) -> anyhow::Result<ExitCode> {
    let name: ImageName = arguments.reference.parse()?;
    let reached = reach::connect(&arguments.reach).await?;
    let waiting = || eprintln!("another command on {name} is at work: waiting for it");
    let identity = reached.identity().await;
    let receipts = receipts(&reached)?;
    let has = |receipt: &Receipt| {
        receipt.reference == name.to_string() && receipt.nodes.iter().any(|seed| seed.state != NodeState::Removed)
    };
    if !receipts.of_cluster(&identity)?.iter().any(has) {
        bail!("{name} was not seeded into this cluster from here: `shipmate image seeded` lists what was");
    }
    let mut held = receipts.take(&identity, &name.to_string(), &now(), waiting)?;
    let there: Vec<NodeSeed> =
        held.receipt().nodes.iter().filter(|seed| seed.state != NodeState::Removed).cloned().collect();
    let nodes = reached.nodes(None).await?;
    let known: Vec<_> = nodes.into_iter().filter(|node| there.iter().any(|seed| seed.node == node.name)).collect();
    if arguments.dry_run {
        let lines: String = there.iter().map(plan).collect();
        output::print(&lines)?;
        return Ok(ExitCode::SUCCESS);
    }
    let ways = ways(&reached, &known).await;
    let id = held.receipt().id.clone();
    let each = ways.targets.iter().filter_map(|target| {
        let seed = there.iter().find(|seed| seed.node == target.node())?;
        Some(async { (seed.clone(), unstage(target, &id, seed).await) })
    });
    let mut results: Vec<(NodeSeed, Result<Removal, StockError>)> =
        stream::iter(each).buffer_unordered(AT_A_TIME).collect().await;
    results.sort_by(|a, b| a.0.node.cmp(&b.0.node));
    let mut rows = Vec::new();
    let mut failed = ways.without.len();
    for (mut seed, result) in results {
        let (done, words) = told(&result);
        rows.push((seed.node.clone(), done, words));
        if done {
            seed.state = NodeState::Removed;
            seed.at = now();
            held.set_node(seed)?;
        } else {
            failed += 1;
        }
    }
    rows.extend(ways.without.iter().map(|(node, why)| (node.clone(), false, format!("not reached: {why}"))));
    for seed in there.iter().filter(|seed| !known.iter().any(|node| node.name == seed.node)) {
        rows.push((seed.node.clone(), true, "the node is not in the cluster any more".to_owned()));
        held.set_node(NodeSeed { state: NodeState::Removed, at: now(), ..seed.clone() })?;
    }
    print(&name, &rows, arguments.output.output)?;
    for patch in &held.receipt().patches {
        let before = patch.before.as_deref().unwrap_or("none");
        eprintln!(
            "note: {} {}/{}, container {}, was patched to IfNotPresent; its policy before was {before}",
            patch.kind, patch.namespace, patch.name, patch.container
        );
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn plan(seed: &NodeSeed) -> String {
    let mut text = format!("{}:\n", seed.node);
    for claim in &seed.names {
        let what = match &claim.before {
            None => "would go".to_owned(),
            Some(before) if before.digest == seed.digest => "was there before: would stay, without its pin".to_owned(),
            Some(before) => format!("would point at {} again", before.digest),
        };
        text.push_str(&format!("  {} {what}\n", claim.name));
    }
    text
}

/// Whether the node is as it was, and what to say.
fn told(result: &Result<Removal, StockError>) -> (bool, String) {
    match result {
        Ok(Removal::Done { removed, restored, left }) => {
            let mut words = Vec::new();
            let mut say = |names: &[String], what: &str| {
                if !names.is_empty() {
                    let names: Vec<String> = names.iter().map(|name| brief(name)).collect();
                    words.push(format!("{what} {}", names.join(", ")));
                }
            };
            say(removed, "removed");
            say(restored, "put back");
            let reasons: BTreeSet<&str> = left.iter().map(|(_, why)| why.as_str()).collect();
            for reason in reasons {
                let names = left.iter().filter(|(_, why)| why == reason).map(|(name, _)| brief(name));
                words.push(format!("left {} ({reason})", names.collect::<Vec<_>>().join(", ")));
            }
            if words.is_empty() {
                words.push("nothing of it was there any more".to_owned());
            }
            (true, words.join("; "))
        }
        Ok(Removal::InUse { by }) => (false, format!("left, it is in use by {}", by.join(", "))),
        Err(error) => (false, format!("failed: {error}")),
    }
}

/// A name with its digest as short as people compare them.
fn brief(name: &str) -> String {
    match name.split_once("sha256:") {
        Some((before, digest)) => format!("{before}sha256:{}", short(digest)),
        None => name.to_owned(),
    }
}

fn print(name: &ImageName, rows: &[(String, bool, String)], format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        let nodes: Vec<_> =
            rows.iter().map(|(node, done, words)| json!({"node": node, "removed": done, "result": words})).collect();
        return output::print_json(&json!({"image": name.to_string(), "nodes": nodes}));
    }
    let rows: Vec<_> = rows.iter().map(|(node, _, words)| vec![node.clone(), words.clone()]).collect();
    output::print_table(&["NODE", "RESULT"], &rows)
}
