//! Objects of the API that stand in the evidence as JSON.

use std::sync::Arc;

use serde_json::Value;

use crate::evidence::{Item, ItemKind};

/// An object, and the item it stands in.
#[derive(Clone, Debug)]
pub struct Found {
    /// Number of the item.
    pub item: usize,
    /// The object; an item of a list has its `kind` filled in.
    pub object: Arc<Value>,
}

impl Found {
    /// Its kind.
    pub fn kind(&self) -> &str {
        self.object["kind"].as_str().unwrap_or_default()
    }

    /// Its namespace; empty without one.
    pub fn namespace(&self) -> &str {
        self.object["metadata"]["namespace"].as_str().unwrap_or_default()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }
}

/// Objects of one item.
pub(crate) fn read(number: usize, item: &Item) -> Vec<Found> {
    if !matches!(item.kind, ItemKind::Objects | ItemKind::Pods | ItemKind::PodStatus) {
        return Vec::new();
    }
    let Ok(mut whole) = serde_json::from_str::<Value>(&item.text) else { return Vec::new() };
    let kind = whole["kind"].as_str().unwrap_or_default().to_owned();
    let objects = match whole["items"].take() {
        Value::Array(objects) => objects,
        _ => vec![whole],
    };
    let single = kind.strip_suffix("List").filter(|single| !single.is_empty());
    let named = objects.into_iter().map(|mut object| {
        if let (Some(single), Some(fields)) = (single, object.as_object_mut()) {
            fields.entry("kind").or_insert_with(|| single.into());
        }
        Found { item: number, object: Arc::new(object) }
    });
    named.collect()
}
