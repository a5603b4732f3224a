//! Which version an upgrade aims at, and which versions run now.

use crate::evidence::Evidence;
use crate::finding::Place;

/// The command whose origin tells the target: `shipmate doctor upgrade --to 1.37`.
const COMMAND: &str = "shipmate doctor upgrade --to 1.";

/// The minor version that is aimed at; `None` when no upgrade is meant.
pub(super) fn target(evidence: &Evidence) -> Option<u32> {
    let asked =
        evidence.items().iter().find_map(|item| item.origin.source().strip_prefix(COMMAND)?.trim().parse().ok());
    asked.or(evidence.target_minor())
}

/// The API server's minor version, if told.
pub(super) fn server(evidence: &Evidence) -> Option<(usize, u32)> {
    evidence.items().iter().enumerate().find_map(|(number, item)| {
        let (_, rest) = item.text.split_once("Server Version: v1.")?;
        Some((number, rest.split(['.', '+', '\n']).next()?.parse().ok()?))
    })
}

/// Nodes that anything is known of, each once.
pub(super) fn nodes(evidence: &Evidence) -> Vec<String> {
    let read = evidence.read();
    let mut names: Vec<String> = read.nodes.iter().map(|node| node.name.clone()).collect();
    names.extend(evidence.items().iter().filter_map(|item| item.origin.node().map(str::to_owned)));
    names.sort();
    names.dedup();
    names
}

/// Something of a node.
pub(super) fn machine(node: &str, what: impl Into<String>) -> Place {
    Place::Machine { node: node.to_owned(), what: what.into() }
}
