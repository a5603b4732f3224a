//! Checking a value against a schema, as the API server does when it decodes a request.
//!
//! Types are matched as Go's JSON decoder matches them, nulls mean "not there", and errors have the decoder's words: the
//! innermost struct's name, then the path without list indexes and map keys.

use serde_json::{Map, Value, json};

use super::cursor::Schema;
use super::node::{Additional, Format, Type};
use super::scalar::{self, Problem};

/// How deep objects and arrays may be nested in one another. Readers of JSON commonly stop at 128, and an object is
/// read back inside lists and watch events.
pub const MAX_DEPTH: usize = 100;

/// Most unknown fields that are reported, and most errors.
const MAX_REPORTED: usize = 100;

/// What a check does beside reporting.
#[derive(Clone, Copy, Debug)]
pub struct CheckOptions {
    /// Unknown fields are removed, as every write does; without it they are only reported.
    pub prune: bool,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { prune: true }
    }
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Paths of unknown fields, for example `spec.containers[0].foo`; at most 100.
    pub unknown: Vec<String>,
    /// What did not decode, in the API server's words; the API server answers with the first alone. At most 100.
    pub errors: Vec<String>,
}

impl Checked {
    /// The error that decoding ends with, for example
    /// `json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32`.
    pub fn decode_error(&self) -> Option<&str> {
        self.errors.first().map(String::as_str)
    }

    /// The error of strict field validation, for example `strict decoding error: unknown field "spec.foo"`.
    pub fn strict_error(&self) -> Option<String> {
        if self.unknown.is_empty() {
            return None;
        }
        Some(format!("strict decoding error: {}", self.warnings().join(", ")))
    }

    /// The warnings of lenient field validation, for example `unknown field "spec.foo"`.
    pub fn warnings(&self) -> Vec<String> {
        self.unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect()
    }
}

/// Whether objects and arrays are nested at most `limit` deep; a scalar has depth 0. Does not recurse, so it may be
/// asked of any value.
pub fn depth_within(value: &Value, limit: usize) -> bool {
    let mut open = vec![(value, 0)];
    while let Some((value, above)) = open.pop() {
        if value.is_array() || value.is_object() {
            if above >= limit {
                return false;
            }
            match value {
                Value::Array(items) => open.extend(items.iter().map(|item| (item, above + 1))),
                Value::Object(fields) => open.extend(fields.values().map(|field| (field, above + 1))),
                _ => {}
            }
        }
    }
    true
}

impl Schema<'_> {
    /// Brings `value` into the form in which it is stored: unknown fields and nulls removed, quantities and times in
    /// canonical form. Reports what is unknown and what does not fit; what does not fit is left as it is.
    pub fn check(&self, value: &mut Value, options: CheckOptions) -> Checked {
        let mut check =
            Check { options, found: Checked::default(), strict: String::new(), field: String::new(), depth: 0 };
        check.visit(value, *self, "");
        check.found
    }
}

/// A check under way.
struct Check {
    options: CheckOptions,
    found: Checked,
    /// Where the value stands: `spec.containers[0].env`.
    strict: String,
    /// The same as decode errors name it: `spec.containers.env`.
    field: String,
    /// Objects and arrays around the value.
    depth: usize,
}

impl Check {
    /// Checks one value; `owner` is the name of the struct that its field belongs to, empty at the root.
    fn visit(&mut self, value: &mut Value, schema: Schema<'_>, owner: &str) {
        let container = value.is_object() || value.is_array();
        if container && self.depth >= MAX_DEPTH {
            self.error("exceeded max depth".into());
            return;
        }
        let shape = schema.shape();
        match (shape.kind, &mut *value) {
            (Type::Any, _) if shape.format == Format::None && shape.properties.is_empty() => {
                if !depth_within(value, MAX_DEPTH - self.depth) {
                    self.error("exceeded max depth".into());
                }
            }
            (Type::Object | Type::Any, Value::Object(fields)) if shape.format == Format::None => {
                self.depth += 1;
                self.visit_fields(fields, schema, owner);
                self.depth -= 1;
            }
            (Type::Array, Value::Array(items)) => {
                self.depth += 1;
                self.visit_items(items, schema, owner);
                self.depth -= 1;
            }
            (Type::Object | Type::Array, _) => self.mismatch(scalar::json_type(value), &go_type(schema), owner),
            _ => match scalar::check(value, shape) {
                Ok(()) => {}
                Err(Problem::Type { found, go_type: Some(go_type) }) => self.mismatch(&found, go_type, owner),
                Err(Problem::Type { found, go_type: None }) => self.mismatch(&found, &go_type(schema), owner),
                Err(Problem::Text(reason)) => self.error(reason),
            },
        }
    }

    fn visit_fields(&mut self, fields: &mut Map<String, Value>, schema: Schema<'_>, owner: &str) {
        let owner = schema.definition().map_or(owner, |definition| definition.short_name());
        let (strict, field) = (self.strict.len(), self.field.len());
        fields.retain(|name, value| {
            push_name(&mut self.strict, name);
            let keep = self.visit_field(name, value, schema, owner);
            self.strict.truncate(strict);
            self.field.truncate(field);
            keep
        });
    }

    /// Checks one field and says whether it stays.
    fn visit_field(&mut self, name: &str, value: &mut Value, schema: Schema<'_>, owner: &str) -> bool {
        if let Some(known) = schema.property(name) {
            if value.is_null() {
                return known.site().nullable || known.shape().nullable;
            }
            push_name(&mut self.field, name);
            self.visit(value, known, owner);
            return true;
        }
        let shape = schema.shape();
        match &shape.additional {
            Additional::Of(_) => {
                if let Some(values) = schema.values() {
                    self.visit_element(value, values, owner);
                }
                true
            }
            Additional::No if !shape.preserve => {
                if self.found.unknown.len() < MAX_REPORTED {
                    self.found.unknown.push(self.strict.clone());
                }
                !self.options.prune
            }
            Additional::Any | Additional::No => {
                if !depth_within(value, MAX_DEPTH - self.depth) {
                    self.error("exceeded max depth".into());
                }
                true
            }
        }
    }

    fn visit_items(&mut self, items: &mut [Value], schema: Schema<'_>, owner: &str) {
        let Some(element) = schema.items() else { return };
        let strict = self.strict.len();
        for (at, item) in items.iter_mut().enumerate() {
            self.strict.push_str(&format!("[{at}]"));
            self.visit_element(item, element, owner);
            self.strict.truncate(strict);
        }
    }

    /// Checks an element of a list or map, where null is the type's zero value.
    fn visit_element(&mut self, value: &mut Value, schema: Schema<'_>, owner: &str) {
        if value.is_null() {
            if !schema.shape().nullable {
                *value = zero(schema);
            }
            return;
        }
        self.visit(value, schema, owner);
    }

    fn mismatch(&mut self, found: &str, go_type: &str, owner: &str) {
        let place =
            if owner.is_empty() { "Go value".into() } else { format!("Go struct field {owner}.{}", self.field) };
        self.error(format!("json: cannot unmarshal {found} into {place} of type {go_type}"));
    }

    fn error(&mut self, reason: String) {
        if self.found.errors.len() < MAX_REPORTED && self.found.errors.last() != Some(&reason) {
            self.found.errors.push(reason);
        }
    }
}

fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

/// What Go's decoder makes of a null in a list or map.
fn zero(schema: Schema<'_>) -> Value {
    let shape = schema.shape();
    match (shape.format, shape.kind) {
        (Format::Quantity, _) => json!("0"),
        (Format::IntOrString, _) | (_, Type::Integer | Type::Number) => json!(0),
        (Format::DateTime | Format::MicroTime, _) | (_, Type::Any) => Value::Null,
        (_, Type::String) => json!(""),
        (_, Type::Boolean) => json!(false),
        (_, Type::Object) => json!({}),
        (_, Type::Array) => json!([]),
    }
}

/// The Go type of a field, as decode errors print it.
fn go_type(schema: Schema<'_>) -> String {
    let named = |node: &super::node::Node| node.extra.as_ref().and_then(|extra| extra.go_type.clone());
    if let Some(name) = named(schema.site()).or_else(|| named(schema.shape())) {
        return name.to_string();
    }
    if let Some(definition) = schema.definition() {
        return definition.go_name().to_owned();
    }
    let element = |inner: Option<Schema<'_>>| inner.map_or_else(|| "interface {}".into(), go_type);
    match (schema.shape().kind, schema.shape().format) {
        (_, Format::Byte) => "[]uint8".into(),
        (Type::String, _) => "string".into(),
        (Type::Integer, Format::Int32) => "int32".into(),
        (Type::Integer, _) => "int64".into(),
        (Type::Number, _) => "float64".into(),
        (Type::Boolean, _) => "bool".into(),
        (Type::Array, _) => format!("[]{}", element(schema.items())),
        (Type::Object, _) => format!("map[string]{}", element(schema.values())),
        (Type::Any, _) => "interface {}".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::super::read::Reader;
    use super::super::set::{Definition, Root, SchemaSet};
    use super::{CheckOptions, Checked, depth_within};

    /// A custom kind, as a CRD describes it.
    fn widget() -> Root {
        let schema = json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "size": {"type": "integer"},
                "note": {"type": "string", "nullable": true},
                "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
                         "properties": {"known": {"type": "object", "properties": {"a": {"type": "string"}}}}},
                "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": {"type": "string"}}}},
                "closed": {"type": "object"},
                "missing": {"$ref": "#/definitions/no.such.Thing"},
            }}
        }});
        let node = Reader::default().read(&schema).unwrap();
        let definition = Definition { name: "com.example.v1.Widget".into(), node, kinds: Vec::new() };
        Root::new(Arc::new(SchemaSet::new([Arc::new(definition)])), "com.example.v1.Widget").unwrap()
    }

    fn check(spec: Value) -> (Value, Checked) {
        let mut value = json!({"spec": spec});
        let checked = widget().schema().check(&mut value, CheckOptions::default());
        (value["spec"].take(), checked)
    }

    #[test]
    fn custom_kinds_are_pruned_like_built_in_ones() {
        let spec = json!({
            "open": {"any": {"thing": 1}, "known": {"a": "x", "b": 1}}, "closed": {"x": 1},
            "map": {"k": {"a": "x", "b": 1}}, "missing": {"is": "kept"}, "note": null, "size": null
        });
        let (value, checked) = check(spec);
        assert_eq!(checked.unknown, ["spec.closed.x", "spec.map.k.b", "spec.open.known.b"]);
        assert_eq!(
            value,
            json!({
                "open": {"any": {"thing": 1}, "known": {"a": "x"}}, "closed": {},
                "map": {"k": {"a": "x"}}, "missing": {"is": "kept"}, "note": null
            })
        );
    }

    #[test]
    fn reports_are_bounded() {
        let many: serde_json::Map<String, Value> = (0..500).map(|n| (format!("x{n}"), json!(1))).collect();
        let (value, checked) = check(Value::Object(many));
        assert_eq!((checked.unknown.len(), value), (100, json!({})));
    }

    #[test]
    fn depth_counts_objects_and_arrays() {
        for (value, depth) in [(json!(1), 0), (json!([]), 1), (json!({"a": [1]}), 2), (json!([[], [[]]]), 3)] {
            assert!(depth_within(&value, depth), "{value}");
            assert!(depth == 0 || !depth_within(&value, depth - 1), "{value}");
        }
    }
}
