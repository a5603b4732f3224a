//! Rows of `kubectl get pods`.

use super::table;
use crate::evidence::{Evidence, ItemKind};

/// A pod in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodRow<'a> {
    /// Number of the item.
    pub item: usize,
    /// Line in the item, from 1.
    pub line: u32,
    /// Namespace, of the column or of the command; empty when not told.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
    /// `Running`, `ImagePullBackOff`, …
    pub status: &'a str,
    /// Node, in wide tables; empty otherwise.
    pub node: &'a str,
}

/// Pods of all tables.
pub fn rows(evidence: &Evidence) -> Vec<PodRow<'_>> {
    let mut pods = Vec::new();
    for (number, item) in evidence.items().iter().enumerate() {
        if !matches!(item.kind, ItemKind::KubectlOutput | ItemKind::Text | ItemKind::NodeFacts) {
            continue;
        }
        let mut words =
            item.origin.source().split_whitespace().skip_while(|word| !matches!(*word, "-n" | "--namespace"));
        let asked = words.nth(1).unwrap_or_default();
        for row in table::columns(&item.text, "NAME") {
            if row.get("READY").is_empty() || row.get("STATUS").is_empty() {
                continue;
            }
            let namespace = if row.get("NAMESPACE").is_empty() { asked } else { row.get("NAMESPACE") };
            let name = row.get("NAME").trim_start_matches("pod/");
            pods.push(PodRow {
                item: number,
                line: row.line,
                namespace,
                name,
                status: row.get("STATUS"),
                node: row.get("NODE"),
            });
        }
    }
    pods
}
