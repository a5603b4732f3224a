//! Pasted text, split into evidence by what it looks like.

use crate::evidence::{Item, ItemKind, Origin};

/// The items of a pasted text.
pub fn split(text: &str) -> Vec<Item> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    vec![Item { kind: ItemKind::Text, origin: Origin("paste".to_owned()), text: text.to_owned() }]
}
