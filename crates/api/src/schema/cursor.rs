//! Walking a schema: a cursor that resolves references on the way.

use std::sync::Arc;

use super::node::{Additional, ListType, MapType, Node, PatchStrategy, Type};
use super::set::{Definition, SchemaSet};

/// References that lead to references are followed this far; more is a cycle without structure.
const MAX_HOPS: usize = 16;

/// A place in a schema. `site` is the node as it is used there (list type, patch strategy, description), `shape` the
/// node that gives the structure; they differ where a reference stands between them.
#[derive(Clone, Copy, Debug)]
pub struct Schema<'a> {
    set: &'a SchemaSet,
    site: &'a Node,
    shape: &'a Node,
    definition: Option<&'a Definition>,
}

impl<'a> Schema<'a> {
    /// At the root of a definition.
    pub fn new(set: &'a SchemaSet, definition: &'a Definition) -> Self {
        Self { definition: Some(definition), ..Self::at(set, &definition.node) }
    }

    /// At any node of the set; its references are resolved.
    pub fn at(set: &'a SchemaSet, site: &'a Node) -> Self {
        let mut here = Self { set, site, shape: site, definition: None };
        for _ in 0..MAX_HOPS {
            let Some(name) = &here.shape.reference else { break };
            let Some(definition) = set.definition(name) else { break };
            here.shape = &definition.node;
            here.definition = Some(definition);
        }
        here
    }

    /// The node as it is used here.
    pub fn site(&self) -> &'a Node {
        self.site
    }

    /// The node that gives the structure.
    pub fn shape(&self) -> &'a Node {
        self.shape
    }

    /// The set that references resolve in.
    pub fn set(&self) -> &'a SchemaSet {
        self.set
    }

    /// The definition whose root this is.
    pub fn definition(&self) -> Option<&'a Definition> {
        self.definition
    }

    /// The named field.
    pub fn property(&self, name: &str) -> Option<Self> {
        self.shape.property(name).map(|node| Self::at(self.set, node))
    }

    /// The schema of the value under `name`: the named field, or the map's values.
    pub fn field(&self, name: &str) -> Option<Self> {
        self.property(name).or_else(|| self.values())
    }

    /// The schema of a map's values.
    pub fn values(&self) -> Option<Self> {
        match &self.shape.additional {
            Additional::Of(node) => Some(Self::at(self.set, node)),
            Additional::Any | Additional::No => None,
        }
    }

    /// The schema of an array's elements.
    pub fn items(&self) -> Option<Self> {
        self.shape.items.as_deref().map(|node| Self::at(self.set, node))
    }

    /// The schema under a path of field names; list elements are entered without naming one.
    pub fn find<'p>(&self, path: impl IntoIterator<Item = &'p str>) -> Option<Self> {
        path.into_iter().try_fold(*self, |mut here, name| {
            while let Some(items) = here.items() {
                here = items;
            }
            here.field(name)
        })
    }

    /// How server-side apply merges this list.
    pub fn list_type(&self) -> ListType {
        if self.site.list == ListType::Atomic { self.shape.list } else { self.site.list }
    }

    /// Which fields tell the elements of a list apart in server-side apply.
    pub fn list_keys(&self) -> &'a [Arc<str>] {
        let keys = self.site.list_keys();
        if keys.is_empty() { self.shape.list_keys() } else { keys }
    }

    /// How server-side apply merges this object.
    pub fn map_type(&self) -> MapType {
        if self.site.map == MapType::Granular { self.shape.map } else { self.site.map }
    }

    /// How strategic merge patch treats this field.
    pub fn patch_strategy(&self) -> PatchStrategy {
        self.site.strategy
    }

    /// The field by which strategic merge patch tells list elements apart.
    pub fn merge_key(&self) -> Option<&'a str> {
        self.site.merge_key()
    }

    /// What the field is for.
    pub fn description(&self) -> Option<&'a str> {
        self.site.description.as_deref().or(self.shape.description.as_deref())
    }

    /// Whether fields that the schema does not name belong to the value.
    pub fn is_open(&self) -> bool {
        let shape = self.shape;
        shape.preserve || shape.additional != Additional::No || (shape.kind == Type::Any && shape.properties.is_empty())
    }
}
