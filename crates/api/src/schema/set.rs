//! Named definitions, and the owned handle on one of them.

use std::collections::HashMap;
use std::sync::Arc;

use super::cursor::Schema;
use super::node::Node;

/// Group, version and kind that a definition describes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupVersionKind {
    /// API group; empty for core.
    pub group: Arc<str>,
    /// Version.
    pub version: Arc<str>,
    /// Kind.
    pub kind: Arc<str>,
}

/// A named schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Name as OpenAPI shows it, for example `io.k8s.api.core.v1.Pod`.
    pub name: Arc<str>,
    /// The schema.
    pub node: Node,
    /// What it describes; more than one for shared types such as DeleteOptions.
    pub kinds: Vec<GroupVersionKind>,
}

impl Definition {
    /// Last part of the name, which is the Go struct's name.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// `v1.PodSpec`: the type as Go prints it.
    pub fn go_name(&self) -> &str {
        let Some(dot) = self.name.rfind('.') else { return &self.name };
        let package = self.name[..dot].rfind('.').map_or(0, |at| at + 1);
        &self.name[package..]
    }
}

/// Definitions that refer to one another by name.
#[derive(Clone, Debug, Default)]
pub struct SchemaSet {
    by_name: HashMap<Arc<str>, Arc<Definition>>,
    by_kind: HashMap<GroupVersionKind, Arc<Definition>>,
}

impl SchemaSet {
    /// A set of these definitions. A later definition replaces an earlier one of the same name; of several
    /// definitions for one kind the first counts.
    pub fn new(definitions: impl IntoIterator<Item = Arc<Definition>>) -> Self {
        let mut set = Self::default();
        for definition in definitions {
            for kind in &definition.kinds {
                set.by_kind.entry(kind.clone()).or_insert_with(|| Arc::clone(&definition));
            }
            set.by_name.insert(Arc::clone(&definition.name), definition);
        }
        set
    }

    /// How many definitions there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is no definition.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// A definition by name.
    pub fn definition(&self, name: &str) -> Option<&Arc<Definition>> {
        self.by_name.get(name)
    }

    /// The definition of a kind.
    pub fn definition_of(&self, group: &str, version: &str, kind: &str) -> Option<&Arc<Definition>> {
        let key = GroupVersionKind { group: group.into(), version: version.into(), kind: kind.into() };
        self.by_kind.get(&key)
    }

    /// All definitions, sorted by name.
    pub fn definitions(&self) -> Vec<&Arc<Definition>> {
        let mut all: Vec<_> = self.by_name.values().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// A cursor at a definition.
    pub fn schema(&self, name: &str) -> Option<Schema<'_>> {
        self.definition(name).map(|definition| Schema::new(self, definition))
    }

    /// A cursor at the definition of a kind.
    pub fn schema_of(&self, group: &str, version: &str, kind: &str) -> Option<Schema<'_>> {
        self.definition_of(group, version, kind).map(|definition| Schema::new(self, definition))
    }
}

/// An owned handle on one definition and the set around it; cheap to clone.
#[derive(Clone, Debug)]
pub struct Root {
    set: Arc<SchemaSet>,
    definition: Arc<Definition>,
}

impl Root {
    /// The definition of that name.
    pub fn new(set: Arc<SchemaSet>, name: &str) -> Option<Self> {
        let definition = Arc::clone(set.definition(name)?);
        Some(Self { set, definition })
    }

    /// The definition of that kind.
    pub fn of(set: &Arc<SchemaSet>, group: &str, version: &str, kind: &str) -> Option<Self> {
        let definition = Arc::clone(set.definition_of(group, version, kind)?);
        Some(Self { set: Arc::clone(set), definition })
    }

    /// The cursor to walk with.
    pub fn schema(&self) -> Schema<'_> {
        Schema::new(&self.set, &self.definition)
    }

    /// The definition.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// The set around it.
    pub fn set(&self) -> &Arc<SchemaSet> {
        &self.set
    }
}
