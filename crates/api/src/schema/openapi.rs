//! OpenAPI documents' definitions, written from the schema.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::json;

use super::node::{Additional, Format, ListType, MapType, Node, Property, Type};
use super::set::{Definition, GroupVersionKind, SchemaSet};

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
    by_name: BTreeMap<&'a str, &'a Definition>,
    dialect: Dialect,
}

impl<'a> Definitions<'a> {
    /// Everything reachable from the definitions of these names; names without a definition are skipped.
    pub fn reachable<'n>(set: &'a SchemaSet, roots: impl IntoIterator<Item = &'n str>, dialect: Dialect) -> Self {
        let mut by_name = BTreeMap::new();
        let mut open: Vec<&Definition> =
            roots.into_iter().filter_map(|name| set.definition(name)).map(AsRef::as_ref).collect();
        while let Some(definition) = open.pop() {
            if by_name.insert(&*definition.name, definition).is_none() {
                references(&definition.node, &mut |name| open.extend(set.definition(name).map(AsRef::as_ref)));
            }
        }
        Self { by_name, dialect }
    }

    /// Names of the definitions, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'a str> {
        self.by_name.keys().copied()
    }
}

fn references<'a>(node: &'a Node, visit: &mut impl FnMut(&'a str)) {
    if let Some(name) = &node.reference {
        visit(name);
    }
    for property in &node.properties {
        references(&property.node, visit);
    }
    if let Some(items) = &node.items {
        references(items, visit);
    }
    if let Additional::Of(values) = &node.additional {
        references(values, visit);
    }
}

impl<'a> Serialize for Definitions<'a> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = |definition: &&'a Definition| Written {
            node: &definition.node,
            kinds: &definition.kinds,
            dialect: self.dialect,
        };
        serializer.collect_map(self.by_name.iter().map(|(name, definition)| (name, written(definition))))
    }
}

/// A node on its way out.
struct Written<'a> {
    node: &'a Node,
    kinds: &'a [GroupVersionKind],
    dialect: Dialect,
}

impl<'a> Written<'a> {
    fn inner(&self, node: &'a Node) -> Self {
        Self { node, kinds: &[], dialect: self.dialect }
    }
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let node = self.node;
        let mut map = serializer.serialize_map(None)?;
        if let Some(description) = &node.description {
            map.serialize_entry("description", &**description)?;
        }
        self.write_reference(&mut map)?;
        self.write_type(&mut map)?;
        self.write_structure(&mut map)?;
        write_extensions(node, &mut map)?;
        if !self.kinds.is_empty() {
            let kinds: Vec<_> = self.kinds.iter().map(kind_entry).collect();
            map.serialize_entry("x-kubernetes-group-version-kind", &kinds)?;
        }
        map.end()
    }
}

fn kind_entry(kind: &GroupVersionKind) -> BTreeMap<&'static str, &str> {
    BTreeMap::from([("group", &*kind.group), ("kind", &*kind.kind), ("version", &*kind.version)])
}

impl Written<'_> {
    fn write_reference<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let Some(name) = &self.node.reference else { return Ok(()) };
        match self.dialect {
            Dialect::V2 => map.serialize_entry("$ref", &format!("#/definitions/{name}")),
            Dialect::V3 => {
                let target = format!("#/components/schemas/{name}");
                // Version 3.0 ignores whatever stands beside a `$ref`.
                if has_siblings(self.node) {
                    map.serialize_entry("allOf", &[json!({"$ref": target})])
                } else {
                    map.serialize_entry("$ref", &target)
                }
            }
        }
    }

    fn write_type<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let node = self.node;
        let alternatives = |numbers| json!([{"type": numbers}, {"type": "string"}]);
        match (node.format, self.dialect) {
            (Format::IntOrString, Dialect::V2) => {
                map.serialize_entry("type", "string")?;
                return map.serialize_entry("format", "int-or-string");
            }
            (Format::IntOrString, Dialect::V3) => {
                map.serialize_entry("format", "int-or-string")?;
                return map.serialize_entry("oneOf", &alternatives("integer"));
            }
            (Format::Quantity, Dialect::V2) => return map.serialize_entry("type", "string"),
            (Format::Quantity, Dialect::V3) => return map.serialize_entry("oneOf", &alternatives("number")),
            _ => {}
        }
        let name = match node.kind {
            Type::Any => None,
            Type::Object => Some("object"),
            Type::Array => Some("array"),
            Type::String => Some("string"),
            Type::Integer => Some("integer"),
            Type::Number => Some("number"),
            Type::Boolean => Some("boolean"),
        };
        if let Some(name) = name {
            map.serialize_entry("type", name)?;
        }
        let format = match node.format {
            Format::Int32 => Some("int32"),
            Format::Int64 => Some("int64"),
            Format::Double => Some("double"),
            Format::Byte => Some("byte"),
            Format::DateTime | Format::MicroTime => Some("date-time"),
            Format::Other => node.extra.as_ref().and_then(|extra| extra.format.as_deref()),
            Format::None | Format::Quantity | Format::IntOrString => None,
        };
        if let Some(format) = format {
            map.serialize_entry("format", format)?;
        }
        if node.nullable && self.dialect == Dialect::V3 {
            map.serialize_entry("nullable", &true)?;
        }
        Ok(())
    }

    fn write_structure<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let node = self.node;
        if !node.properties.is_empty() {
            map.serialize_entry("properties", &Properties { of: self, properties: &node.properties })?;
        }
        if !node.required.is_empty() {
            let names: Vec<&str> = node.required.iter().map(AsRef::as_ref).collect();
            map.serialize_entry("required", &names)?;
        }
        if let Some(items) = &node.items {
            map.serialize_entry("items", &self.inner(items))?;
        }
        match &node.additional {
            Additional::No => {}
            Additional::Any => map.serialize_entry("additionalProperties", &true)?,
            Additional::Of(values) => map.serialize_entry("additionalProperties", &self.inner(values))?,
        }
        if let Some(extra) = &node.extra {
            if !extra.enumeration.is_empty() {
                map.serialize_entry("enum", &extra.enumeration)?;
            }
            if let Some(default) = &extra.default {
                map.serialize_entry("default", default)?;
            }
        }
        Ok(())
    }
}

/// The named fields of an object.
struct Properties<'a> {
    of: &'a Written<'a>,
    properties: &'a [Property],
}

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.properties.iter().map(|field| (&*field.name, self.of.inner(&field.node))))
    }
}

/// Whether anything is said beside the reference.
fn has_siblings(node: &Node) -> bool {
    let bare = Node { reference: node.reference.clone(), ..Node::default() };
    *node != bare
}

fn write_extensions<M: SerializeMap>(node: &Node, map: &mut M) -> Result<(), M::Error> {
    if node.preserve {
        map.serialize_entry("x-kubernetes-preserve-unknown-fields", &true)?;
    }
    if node.embedded {
        map.serialize_entry("x-kubernetes-embedded-resource", &true)?;
    }
    if node.kind == Type::Array {
        let name = match node.list {
            ListType::Atomic => "atomic",
            ListType::Set => "set",
            ListType::Map => "map",
        };
        map.serialize_entry("x-kubernetes-list-type", name)?;
    }
    if !node.list_keys().is_empty() {
        let keys: Vec<&str> = node.list_keys().iter().map(AsRef::as_ref).collect();
        map.serialize_entry("x-kubernetes-list-map-keys", &keys)?;
    }
    if node.map == MapType::Atomic {
        map.serialize_entry("x-kubernetes-map-type", "atomic")?;
    }
    if let Some(key) = node.merge_key() {
        map.serialize_entry("x-kubernetes-patch-merge-key", key)?;
    }
    let strategy = node.strategy.to_text();
    if !strategy.is_empty() {
        map.serialize_entry("x-kubernetes-patch-strategy", &strategy)?;
    }
    Ok(())
}
