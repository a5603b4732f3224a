//! Selectors of workloads.

use super::places;
use crate::finding::Fix;
use crate::read::manifest::{Document, Node};

/// Adds `spec.selector` with the labels of the template. `None` when they can't be told, or when the file is not
/// written in blocks.
pub(super) fn added(text: &str, item: usize, document: &Document, fix: Fix) -> Option<Fix> {
    let labels = document.root.find("spec.template.metadata.labels").map(|(_, labels)| labels)?;
    let (key, template) = document.root.find("spec")?.1.entry("template")?;
    let block = places::lines(text, key, template)?;
    let indent = " ".repeat(key.column);
    let mut new = format!("{indent}selector:\n{indent}  matchLabels:\n");
    if labels.entries().is_empty() {
        return None;
    }
    for (name, value) in labels.entries() {
        let raw = |node: &Node| text.get(node.span.clone()).filter(|raw| !raw.contains('\n')).map(str::to_owned);
        new.push_str(&format!("{indent}    {}: {}\n", raw(name)?, raw(value)?));
    }
    Some(fix.edit(item, block.start..block.start, new))
}
