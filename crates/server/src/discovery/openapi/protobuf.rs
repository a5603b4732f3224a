//! An OpenAPI v2 document as protobuf, in gnostic's message `openapi.v2.Document`: the only form in which client-go
//! asks for version 2.
//!
//! The document is written as JSON first and turned over definition by definition, so that never more than one of them
//! is held as values. What no client reads from here (responses, bodies, formats of parameters) is left out.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A message under construction. Field numbers are those of OpenAPIv2.proto.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.varint(u64::from(field << 3 | 2));
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u32, value: &Value) {
        if let Some(text) = value.as_str() {
            self.bytes(field, text.as_bytes());
        }
    }

    fn texts(&mut self, field: u32, values: &Value) {
        values.as_array().into_iter().flatten().for_each(|value| self.text(field, value));
    }

    fn flag(&mut self, field: u32, value: &Value) {
        if value.as_bool() == Some(true) {
            self.varint(u64::from(field << 3));
            self.varint(1);
        }
    }

    fn message(&mut self, field: u32, message: &Self) {
        self.bytes(field, &message.0);
    }

    /// A named entry of a map.
    fn entry(&mut self, field: u32, name: &str, value: &Self) {
        let mut entry = Self::default();
        entry.bytes(1, name.as_bytes());
        entry.message(2, value);
        self.message(field, &entry);
    }

    /// `x-…` fields, whose values travel as YAML text (JSON is YAML).
    fn extensions(&mut self, field: u32, of: &Map<String, Value>) {
        for (name, value) in of.iter().filter(|(name, _)| name.starts_with("x-")) {
            self.entry(field, name, &any(value));
        }
    }
}

#[derive(Deserialize)]
struct Document {
    swagger: Value,
    info: Value,
    paths: BTreeMap<String, Box<RawValue>>,
    definitions: BTreeMap<String, Box<RawValue>>,
}

/// Turns a document that serializes as OpenAPI v2 JSON into protobuf.
pub fn encode(document: &impl Serialize) -> Vec<u8> {
    let json = serde_json::to_vec(document).expect("documents have text keys");
    let Ok(document) = serde_json::from_slice::<Document>(&json) else { return Vec::new() };
    let mut info = Message::default();
    info.text(1, &document.info["title"]);
    info.text(2, &document.info["version"]);
    let (mut paths, mut definitions) = (Message::default(), Message::default());
    for (name, item) in &document.paths {
        paths.entry(2, name, &path_item(&parsed(item)));
    }
    for (name, definition) in &document.definitions {
        definitions.entry(1, name, &schema(&parsed(definition)));
    }
    let mut out = Message::default();
    out.text(1, &document.swagger);
    out.message(2, &info);
    out.message(8, &paths);
    out.message(9, &definitions);
    out.0
}

fn parsed(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

fn any(value: &Value) -> Message {
    let mut any = Message::default();
    any.bytes(2, value.to_string().as_bytes());
    any
}

fn path_item(item: &Value) -> Message {
    let mut out = Message::default();
    for (field, method) in [(2, "get"), (3, "put"), (4, "post"), (5, "delete"), (8, "patch")] {
        if let Some(operation) = item.get(method).and_then(Value::as_object) {
            out.message(field, &self::operation(operation));
        }
    }
    out
}

fn operation(operation: &Map<String, Value>) -> Message {
    let mut out = Message::default();
    let field = |name: &str| operation.get(name).unwrap_or(&Value::Null);
    out.text(5, field("operationId"));
    out.texts(7, field("consumes"));
    for parameter in field("parameters").as_array().into_iter().flatten().filter(|one| one["in"] == "query") {
        let mut query = Message::default();
        query.text(2, &parameter["in"]);
        query.text(4, &parameter["name"]);
        query.text(6, &parameter["type"]);
        let (mut non_body, mut wrapped, mut item) = (Message::default(), Message::default(), Message::default());
        non_body.message(3, &query);
        wrapped.message(2, &non_body);
        item.message(1, &wrapped);
        out.message(8, &item);
    }
    let mut ok = Message::default();
    ok.bytes(1, b"OK");
    let (mut value, mut responses) = (Message::default(), Message::default());
    value.message(1, &ok);
    responses.entry(1, "200", &value);
    out.message(9, &responses);
    out.extensions(13, operation);
    out
}

fn schema(schema: &Value) -> Message {
    let mut out = Message::default();
    out.text(1, &schema["$ref"]);
    out.text(2, &schema["format"]);
    out.text(4, &schema["description"]);
    if let Some(default) = schema.get("default") {
        out.message(5, &any(default));
    }
    out.texts(19, &schema["required"]);
    for value in schema["enum"].as_array().into_iter().flatten() {
        out.message(20, &any(value));
    }
    match schema.get("additionalProperties") {
        Some(values) if values.is_object() => {
            let mut item = Message::default();
            item.message(1, &self::schema(values));
            out.message(21, &item);
        }
        Some(values) => {
            let mut item = Message::default();
            item.flag(2, values);
            out.message(21, &item);
        }
        None => {}
    }
    if schema["type"].is_string() {
        let mut kind = Message::default();
        kind.text(1, &schema["type"]);
        out.message(22, &kind);
    }
    if let Some(items) = schema.get("items") {
        let mut item = Message::default();
        item.message(1, &self::schema(items));
        out.message(23, &item);
    }
    if let Some(properties) = schema["properties"].as_object() {
        let mut all = Message::default();
        properties.iter().for_each(|(name, value)| all.entry(1, name, &self::schema(value)));
        out.message(25, &all);
    }
    if let Some(fields) = schema.as_object() {
        out.extensions(31, fields);
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lengths_and_numbers_are_written_as_protobuf_has_them() {
        let mut message = Message::default();
        message.bytes(1, b"ab");
        message.flag(16, &json!(true));
        message.flag(17, &json!(false));
        message.varint(300);
        assert_eq!(message.0, [0x0a, 2, b'a', b'b', 0x80, 0x01, 1, 0xac, 0x02]);
    }

    #[test]
    fn a_definition_keeps_its_structure() {
        let written = schema(&json!({
            "type": "object",
            "x-a": ["m"],
            "properties": {"p": {"$ref": "#/definitions/q"}},
        }));
        let mut expected = Message::default();
        expected.bytes(22, &[0x0a, 6, b'o', b'b', b'j', b'e', b'c', b't']);
        let mut property = Message::default();
        property.bytes(1, b"#/definitions/q");
        let mut properties = Message::default();
        properties.entry(1, "p", &property);
        expected.message(25, &properties);
        let mut extension = Message::default();
        extension.bytes(2, br#"["m"]"#);
        expected.entry(31, "x-a", &extension);
        assert_eq!(written.0, expected.0);
    }
}
