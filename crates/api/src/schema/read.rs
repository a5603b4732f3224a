//! Reading a schema from its JSON form: JSON Schema, OpenAPI, or a CRD's `openAPIV3Schema`.
//!
//! Keywords that do not bear on structure (descriptions' siblings such as `minimum` or `oneOf`) are passed over; they are
//! validation's concern.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::node::{Additional, Format, ListType, MapType, Node, PatchStrategy, Property, Type};

/// Schemas nested deeper are refused: objects may not be nested so deep.
const MAX_DEPTH: usize = super::check::MAX_DEPTH;

/// Why a JSON schema cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Nested too deep.
    #[error("schema is nested more than {MAX_DEPTH} levels deep; split it into definitions")]
    TooDeep,
    /// A schema that is neither an object nor a boolean.
    #[error("schema at {0} is not an object; give it a type")]
    NotAnObject(String),
}

/// Reads schemas, sharing equal texts among all that it reads.
#[derive(Debug, Default)]
pub struct Reader {
    texts: HashSet<Arc<str>>,
}

impl Reader {
    /// The shared copy of a text.
    pub fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = text.into();
        self.texts.insert(Arc::clone(&shared));
        shared
    }

    /// Reads a schema.
    ///
    /// # Errors
    /// When a part that must be a schema is none, or the schema is nested too deep.
    pub fn read(&mut self, schema: &Value) -> Result<Node, SchemaError> {
        let mut path = Vec::new();
        self.node(schema, &mut path)
    }

    fn node<'s>(&mut self, schema: &'s Value, path: &mut Vec<&'s str>) -> Result<Node, SchemaError> {
        if path.len() >= MAX_DEPTH {
            return Err(SchemaError::TooDeep);
        }
        let fields = match schema {
            Value::Object(fields) => fields,
            Value::Bool(_) => return Ok(Node { preserve: true, ..Node::default() }),
            _ => return Err(SchemaError::NotAnObject(format!("/{}", path.join("/")))),
        };
        let mut node = Node::default();
        self.read_type(fields, &mut node);
        self.read_texts(fields, &mut node);
        self.read_merging(fields, &mut node);
        if let Some(Value::Object(properties)) = fields.get("properties") {
            let mut read = Vec::with_capacity(properties.len());
            for (name, property) in properties {
                path.push(name);
                read.push(Property { name: self.share(name), node: self.node(property, path)? });
                path.pop();
            }
            read.sort_by(|a, b| a.name.cmp(&b.name));
            node.properties = read.into();
        }
        if let Some(items) = fields.get("items") {
            path.push("items");
            node.items = Some(Box::new(self.node(items, path)?));
            path.pop();
        }
        node.additional = match fields.get("additionalProperties") {
            None | Some(Value::Bool(false)) => Additional::No,
            Some(Value::Bool(true)) => Additional::Any,
            Some(values) => {
                path.push("additionalProperties");
                let values = self.node(values, path)?;
                path.pop();
                Additional::Of(Box::new(values))
            }
        };
        Ok(node)
    }

    fn read_type(&mut self, fields: &Map<String, Value>, node: &mut Node) {
        let mut set = |name: &str| match name {
            "object" => node.kind = Type::Object,
            "array" => node.kind = Type::Array,
            "string" => node.kind = Type::String,
            "integer" => node.kind = Type::Integer,
            "number" => node.kind = Type::Number,
            "boolean" => node.kind = Type::Boolean,
            "null" => node.nullable = true,
            _ => {}
        };
        match fields.get("type") {
            Some(Value::String(name)) => set(name),
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).for_each(set),
            _ => {}
        }
        let format = fields.get("format").and_then(Value::as_str);
        node.format = match (format, node.kind) {
            (None, _) => Format::None,
            (Some("int32"), _) => Format::Int32,
            (Some("int64"), _) => Format::Int64,
            (Some("double"), _) => Format::Double,
            (Some("byte"), Type::String) => Format::Byte,
            (Some(other), _) => {
                node.extra_mut().format = Some(self.share(other));
                Format::Other
            }
        };
        let flag = |name: &str| fields.get(name).and_then(Value::as_bool).unwrap_or(false);
        if flag("x-kubernetes-int-or-string") {
            (node.kind, node.format) = (Type::Any, Format::IntOrString);
        }
        node.nullable |= flag("nullable");
        node.preserve = flag("x-kubernetes-preserve-unknown-fields");
        node.embedded = flag("x-kubernetes-embedded-resource");
        node.reference = reference(fields).map(|name| self.share(name));
    }

    fn read_texts(&mut self, fields: &Map<String, Value>, node: &mut Node) {
        node.description = fields.get("description").and_then(Value::as_str).map(|text| self.share(text));
        if let Some(Value::Array(required)) = fields.get("required") {
            node.required = required.iter().filter_map(Value::as_str).map(|name| self.share(name)).collect();
        }
        if let Some(Value::Array(values)) = fields.get("enum") {
            node.extra_mut().enumeration = values.clone();
        }
        if let Some(default) = fields.get("default") {
            node.extra_mut().default = Some(default.clone());
        }
    }

    fn read_merging(&mut self, fields: &Map<String, Value>, node: &mut Node) {
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        node.list = match text("x-kubernetes-list-type") {
            Some("map") => ListType::Map,
            Some("set") => ListType::Set,
            _ => ListType::Atomic,
        };
        if text("x-kubernetes-map-type") == Some("atomic") {
            node.map = MapType::Atomic;
        }
        if let Some(Value::Array(keys)) = fields.get("x-kubernetes-list-map-keys") {
            let keys = keys.iter().filter_map(Value::as_str).map(|key| self.share(key)).collect();
            node.extra_mut().list_keys = keys;
        }
        if let Some(key) = text("x-kubernetes-patch-merge-key") {
            node.extra_mut().merge_key = Some(self.share(key));
        }
        node.strategy = PatchStrategy::from_text(text("x-kubernetes-patch-strategy").unwrap_or_default());
    }
}

/// The name of the definition that a schema refers to, directly or as the only part of an `allOf`.
fn reference(fields: &Map<String, Value>) -> Option<&str> {
    let direct = fields.get("$ref");
    let only = || match fields.get("allOf")? {
        Value::Array(parts) if parts.len() == 1 => parts[0].get("$ref"),
        _ => None,
    };
    let target = direct.or_else(only)?.as_str()?;
    Some(target.rsplit('/').next().unwrap_or(target))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::node::{Additional, Format, ListType, MapType, Type};
    use super::{Reader, SchemaError};

    #[test]
    fn all_structure_is_read() {
        let schema = json!({
            "type": "object", "description": "d", "required": ["b"], "x-kubernetes-map-type": "atomic",
            "properties": {
                "b": {"type": ["integer", "null"], "format": "int32", "default": 3, "enum": [1, 3]},
                "a": {"allOf": [{"$ref": "#/components/schemas/io.x.A"}], "description": "use"},
                "r": {"$ref": "#/definitions/io.x.A"},
                "l": {"type": "array", "items": {"type": "string", "format": "hostname"},
                      "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k", "j"],
                      "x-kubernetes-patch-strategy": "merge,retainKeys", "x-kubernetes-patch-merge-key": "k"},
                "m": {"type": "object", "additionalProperties": {"type": "boolean"}},
                "p": {"x-kubernetes-preserve-unknown-fields": true},
                "i": {"x-kubernetes-int-or-string": true, "nullable": true},
            }
        });
        let node = Reader::default().read(&schema).unwrap();
        let names: Vec<&str> = node.properties.iter().map(|property| &*property.name).collect();
        assert_eq!(names, ["a", "b", "i", "l", "m", "p", "r"]);
        assert_eq!((node.kind, node.map, &*node.required[0]), (Type::Object, MapType::Atomic, "b"));
        let at = |name| node.property(name).unwrap();
        assert_eq!((at("b").kind, at("b").format, at("b").nullable), (Type::Integer, Format::Int32, true));
        assert_eq!(at("b").default_value(), Some(&json!(3)));
        assert_eq!((at("a").reference.as_deref(), at("r").reference.as_deref()), (Some("io.x.A"), Some("io.x.A")));
        let list = at("l");
        assert_eq!((list.list, list.list_keys().len(), list.merge_key()), (ListType::Map, 2, Some("k")));
        assert!(list.strategy.merge && list.strategy.retain_keys && !list.strategy.replace);
        assert!(matches!(&at("m").additional, Additional::Of(values) if values.kind == Type::Boolean));
        assert!(at("p").preserve && at("i").nullable && at("i").format == Format::IntOrString);
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        let wrong = json!({"properties": {"a": {"items": 3}}});
        assert_eq!(Reader::default().read(&wrong), Err(SchemaError::NotAnObject("/a/items".into())));
        let mut deep = Value::Bool(true);
        for _ in 0..200 {
            deep = json!({"items": deep});
        }
        assert_eq!(Reader::default().read(&deep), Err(SchemaError::TooDeep));
    }

    #[test]
    fn equal_texts_are_shared() {
        let mut reader = Reader::default();
        assert!(std::sync::Arc::ptr_eq(&reader.share("x"), &reader.share("x")));
    }
}
