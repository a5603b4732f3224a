//! The schema of every built-in kind of the Kubernetes version that k8s-openapi is built for.
//!
//! Structure and descriptions come from k8s-openapi's types; `facts.txt` adds what those types lack, and `go_types.txt` the
//! names that decode errors show. It is put together once, when first asked for, in some milliseconds.
//!
//! Deliberately absent: defaults and validation, which are code in each kind's folder.

mod facts;
mod resources;
mod roots;

#[cfg(test)]
mod check_cases;
#[cfg(test)]
mod openapi_cases;
#[cfg(test)]
mod patch_cases;

use std::sync::{Arc, LazyLock};

use api::schema::{Definition, Node, Reader, Root, SchemaSet};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

pub use resources::{Resource, Scope, Subresource, resources};

/// Every definition of Kubernetes, by its upstream name.
pub fn all() -> &'static Arc<SchemaSet> {
    static ALL: LazyLock<Arc<SchemaSet>> = LazyLock::new(|| Arc::new(load()));
    &ALL
}

/// The definition of a kind; the group is empty for core.
pub fn definition_for(group: &str, version: &str, kind: &str) -> Option<Root> {
    Root::of(all(), group, version, kind)
}

fn load() -> SchemaSet {
    let mut collector = Collector {
        generator: SchemaSettings::draft2020_12().into_generator(),
        reader: Reader::default(),
        definitions: Vec::new(),
    };
    roots::add_all(&mut collector);
    let Collector { mut reader, mut definitions, .. } = collector;
    facts::complete(&mut definitions, &mut reader);
    SchemaSet::new(definitions.into_iter().map(Arc::new))
}

/// Reads the schemas of types as they are generated.
struct Collector {
    generator: SchemaGenerator,
    reader: Reader,
    definitions: Vec<Definition>,
}

impl Collector {
    /// Adds a type and all that it uses.
    fn add<T: JsonSchema>(&mut self) {
        self.generator.subschema_for::<T>();
        for (name, schema) in self.generator.definitions_mut() {
            if schema.is_null() {
                continue;
            }
            // A schema that does not read would be a bug of k8s-openapi; free-form is then the safe answer.
            let mut node = self.reader.read(schema).unwrap_or_default();
            if name.ends_with(".apiextensions.v1.JSON") {
                // Any JSON at all, whatever the generated schema says of objects.
                node = Node { description: node.description, ..Node::default() };
            }
            self.definitions.push(Definition { name: self.reader.share(name), node, kinds: Vec::new() });
            // The generator needs to know the name alone; all JSON at once would be several times the schema.
            *schema = Value::Null;
        }
    }
}

#[cfg(test)]
mod tests {
    use api::schema::{Additional, Node, Type};

    use super::{all, definition_for, resources};

    /// All of Kubernetes 1.37: the types of k8s-openapi and the List kinds.
    #[test]
    fn every_definition_is_there() {
        assert_eq!(all().len(), 862);
        assert!(definition_for("apps", "v1", "Deployment").is_some());
        assert!(definition_for("", "v1", "PodList").is_some());
        assert!(definition_for("apps", "v1beta1", "Deployment").is_none());
    }

    #[test]
    fn every_reference_resolves() {
        fn walk(node: &Node, visit: &mut dyn FnMut(&Node)) {
            visit(node);
            node.properties.iter().for_each(|property| walk(&property.node, visit));
            if let Some(items) = &node.items {
                walk(items, visit);
            }
            if let Additional::Of(values) = &node.additional {
                walk(values, visit);
            }
        }
        for definition in all().definitions() {
            walk(&definition.node, &mut |node| {
                if let Some(name) = &node.reference {
                    assert!(all().definition(name).is_some(), "{} refers to {name}", definition.name);
                }
                assert!(node.kind != Type::Array || node.items.is_some(), "{}", definition.name);
            });
        }
    }

    #[test]
    fn every_served_resource_has_a_schema() {
        for resource in resources() {
            let definition = definition_for(resource.group, resource.version, resource.kind);
            assert!(definition.is_some(), "{}/{} {}", resource.group, resource.version, resource.kind);
        }
    }
}
