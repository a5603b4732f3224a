//! Bodies in Kubernetes' protobuf encoding, read as the JSON that they mean.
//!
//! client-go's typed clients send this (`kubectl create deployment`, `kubectl auth can-i`, most operators), and do
//! not fall back to JSON when it is refused. Structure comes from the one schema; what a schema lacks are the field
//! numbers, which are a table of facts beside this file.
//!
//! Invariant: no input makes this panic, recurse deeper than a JSON body could, or allocate more than it is long.
//!
//! Deliberately absent: writing. Whoever sends protobuf accepts JSON as well.

mod wire;

use std::collections::HashMap;
use std::sync::LazyLock;

use api::schema::{Format, Schema, SchemaSet, Type};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use wire::{Fields, Malformed, Wire};

/// What a body starts with.
const MAGIC: &[u8] = b"k8s\0";
/// Deepest nesting of messages.
const MAX_DEPTH: usize = 60;

/// A field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// A field by its JSON name; zero values are kept if they mean something.
    Named(&'static str, bool),
    /// A message whose fields stand in the object itself.
    Inline(&'static str),
}

/// Fields by number, of each type by name.
static FIELDS: LazyLock<HashMap<&'static str, HashMap<u64, Field>>> = LazyLock::new(|| {
    let rows = include_str!("fields.txt").lines().filter(|line| !line.starts_with('#'));
    rows.filter_map(|row| row.split_once(' ')).map(|(name, fields)| (name, numbered(fields))).collect()
});

fn numbered(row: &'static str) -> HashMap<u64, Field> {
    let mut number = 0;
    let mut fields = HashMap::new();
    for word in row.split(' ') {
        let (name, jump) = word.split_once('=').unwrap_or((word, ""));
        number = jump.parse().unwrap_or(number + 1);
        let field = match (name.strip_prefix('>'), name.strip_suffix('?')) {
            (Some(message), _) => Field::Inline(message),
            (None, Some(name)) => Field::Named(name, true),
            (None, None) => Field::Named(name, false),
        };
        fields.insert(number, field);
    }
    fields
}

/// The fields of a definition, for example `io.k8s.api.core.v1.Pod`.
fn fields_of(definition: &str) -> Option<&'static HashMap<u64, Field>> {
    let name =
        definition.strip_prefix("io.k8s.api.").or_else(|| definition.strip_prefix("io.k8s.apimachinery.pkg.apis."))?;
    FIELDS.get(name)
}

/// Reads a body.
///
/// # Errors
/// When it is malformed, or of a type that is not known.
pub(crate) fn decode(schemas: &SchemaSet, body: &[u8]) -> Result<Value, String> {
    let envelope = body.strip_prefix(MAGIC).ok_or("proto: the body lacks the prefix of Kubernetes' encoding")?;
    let (mut version, mut kind, mut raw) = ("", "", &[][..]);
    for field in Fields(envelope) {
        match field.map_err(|error| error.to_string())? {
            (1, Wire::Bytes(meta)) => {
                for field in Fields(meta) {
                    match field.map_err(|error| error.to_string())? {
                        (1, text) => version = text.text().map_err(|error| error.to_string())?,
                        (2, text) => kind = text.text().map_err(|error| error.to_string())?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let (group, short) = version.split_once('/').unwrap_or(("", version));
    let options = format!("io.k8s.apimachinery.pkg.apis.meta.v1.{kind}");
    let schema = schemas.schema_of(group, short, kind).or_else(|| schemas.schema(&options));
    let unknown = || format!("no kind {kind:?} is registered for version {version:?}");
    let schema = schema.ok_or_else(unknown)?;
    let fields = schema.definition().and_then(|found| fields_of(&found.name)).ok_or_else(unknown)?;
    let mut object = Map::new();
    message(raw, schema, fields, &mut object, MAX_DEPTH).map_err(|error| error.to_string())?;
    object.insert("apiVersion".to_owned(), json!(version));
    object.insert("kind".to_owned(), json!(kind));
    Ok(Value::Object(object))
}

/// Reads a message into an object.
fn message(
    bytes: &[u8],
    schema: Schema<'_>,
    fields: &'static HashMap<u64, Field>,
    object: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed)?;
    for field in Fields(bytes) {
        let (number, wire) = field?;
        match fields.get(&number) {
            Some(Field::Inline(inner)) => {
                let inner = FIELDS.get(inner).ok_or(Malformed)?;
                message(wire.bytes()?, schema, inner, object, depth)?;
            }
            Some(Field::Named(name, kept)) if *name != "managedFields" => {
                let Some(property) = schema.property(name) else { continue };
                named(wire, property, name, *kept, object, depth)?;
            }
            Some(Field::Named(..)) | None => {} // Newer clients have fields that are not known here.
        }
    }
    Ok(())
}

/// Reads one occurrence of a field.
fn named(
    wire: Wire<'_>,
    schema: Schema<'_>,
    name: &str,
    kept: bool,
    object: &mut Map<String, Value>,
    depth: usize,
) -> Result<(), Malformed> {
    if let Some(items) = schema.items() {
        let element = single(wire, items, depth)?;
        let list = object.entry(name).or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            list.push(element);
        }
        return Ok(());
    }
    if let Some(values) = schema.values() {
        let (mut key, mut value) = (String::new(), Value::Null);
        for field in Fields(wire.bytes()?) {
            match field? {
                (1, wire) => wire.text()?.clone_into(&mut key),
                (2, wire) => value = single(wire, values, depth)?,
                _ => {}
            }
        }
        if value.is_null() && schema.values().is_some_and(|values| values.shape().kind == Type::String) {
            value = json!("");
        }
        let map = object.entry(name).or_insert_with(|| json!({}));
        map[key] = value;
        return Ok(());
    }
    let value = single(wire, schema, depth)?;
    let zero = matches!(&value, Value::String(text) if text.is_empty()) || value == json!(0) || value == json!(false);
    if !value.is_null() && (kept || !zero) {
        object.insert(name.to_owned(), value);
    }
    Ok(())
}

/// Reads one value.
fn single(wire: Wire<'_>, schema: Schema<'_>, depth: usize) -> Result<Value, Malformed> {
    let shape = schema.shape();
    match shape.format {
        Format::DateTime => return time(wire.bytes()?, "%Y-%m-%dT%H:%M:%SZ"),
        Format::MicroTime => return time(wire.bytes()?, "%Y-%m-%dT%H:%M:%S.%6fZ"),
        Format::Quantity => return first_text(wire.bytes()?),
        Format::IntOrString => return int_or_string(wire.bytes()?),
        Format::Byte => return Ok(json!(STANDARD.encode(wire.bytes()?))),
        _ => {}
    }
    match shape.kind {
        Type::String => Ok(json!(wire.text()?)),
        Type::Integer => Ok(json!(wire.integer()?)),
        Type::Boolean => Ok(json!(wire.integer()? != 0)),
        Type::Number => Ok(json!(wire.number()?)),
        Type::Array => wrapped_list(wire.bytes()?, schema, depth),
        Type::Object | Type::Any => {
            let known = schema.definition().and_then(|found| fields_of(&found.name));
            let Some(fields) = known else { return raw_json(wire.bytes()?) };
            let mut object = Map::new();
            message(wire.bytes()?, schema, fields, &mut object, depth)?;
            Ok(Value::Object(object))
        }
    }
}

/// A list as the value of a map is a message with the elements in field 1.
fn wrapped_list(bytes: &[u8], schema: Schema<'_>, depth: usize) -> Result<Value, Malformed> {
    let depth = depth.checked_sub(1).ok_or(Malformed)?;
    let items = schema.items().ok_or(Malformed)?;
    let elements = Fields(bytes).map(|field| field.and_then(|(_, wire)| single(wire, items, depth)));
    elements.collect::<Result<Vec<_>, _>>().map(Value::Array)
}

/// `runtime.RawExtension`: JSON in field 1.
fn raw_json(bytes: &[u8]) -> Result<Value, Malformed> {
    for field in Fields(bytes) {
        if let (1, Wire::Bytes(raw)) = field? {
            return serde_json::from_slice(raw).map_err(|_| Malformed);
        }
    }
    Ok(Value::Null)
}

/// `resource.Quantity`: text in field 1.
fn first_text(bytes: &[u8]) -> Result<Value, Malformed> {
    for field in Fields(bytes) {
        if let (1, wire) = field? {
            return Ok(json!(wire.text()?));
        }
    }
    Ok(json!("0"))
}

/// `intstr.IntOrString`: which one it is, the number, the text.
fn int_or_string(bytes: &[u8]) -> Result<Value, Malformed> {
    let (mut is_text, mut number, mut text) = (false, 0, "");
    for field in Fields(bytes) {
        match field? {
            (1, wire) => is_text = wire.integer()? != 0,
            (2, wire) => number = wire.integer()?,
            (3, wire) => text = wire.text()?,
            _ => {}
        }
    }
    Ok(if is_text { json!(text) } else { json!(number) })
}

/// `meta.v1.Time` and `MicroTime`: seconds and nanoseconds; nothing at all is no time.
fn time(bytes: &[u8], format: &str) -> Result<Value, Malformed> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let (mut seconds, mut nanos) = (0, 0);
    for field in Fields(bytes) {
        match field? {
            (1, wire) => seconds = wire.integer()?,
            (2, wire) => nanos = i32::try_from(wire.integer()?).map_err(|_| Malformed)?,
            _ => {}
        }
    }
    let time = Timestamp::new(seconds, nanos).map_err(|_| Malformed)?;
    Ok(json!(time.strftime(format).to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field with bytes.
    fn bytes(number: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        out.extend_from_slice(content);
        out
    }

    fn varint(number: u8, value: u8) -> Vec<u8> {
        vec![number << 3, value]
    }

    fn body(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
        let meta = [bytes(1, version.as_bytes()), bytes(2, kind.as_bytes())].concat();
        [MAGIC.to_vec(), bytes(1, &meta), bytes(2, raw)].concat()
    }

    #[test]
    fn a_pod_is_read() {
        let meta =
            [bytes(1, b"web"), bytes(2, b""), bytes(8, b""), bytes(11, &[bytes(1, b"app"), bytes(2, b"web")].concat())];
        let port = [varint(2, 0), varint(3, 80), bytes(4, b"")].concat();
        let probe =
            [bytes(1, &bytes(2, &[bytes(1, b"/"), bytes(2, &[varint(1, 0), varint(2, 80)].concat())].concat()))];
        let container = [bytes(1, b"c"), bytes(6, &port), bytes(10, &probe.concat()), bytes(8, b"")].concat();
        let volume = [bytes(1, b"v"), bytes(2, &bytes(2, b""))].concat();
        let spec = [bytes(1, &volume), bytes(2, &container), varint(4, 0), varint(11, 0)].concat();
        let raw = [bytes(1, &meta.concat()), bytes(2, &spec), bytes(3, b"")].concat();
        let expected = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web", "labels": {"app": "web"}},
            "spec": {
                "containers": [{
                    "name": "c",
                    "ports": [{"containerPort": 80}],
                    "livenessProbe": {"httpGet": {"path": "/", "port": 80}},
                    "resources": {},
                }],
                "volumes": [{"name": "v", "emptyDir": {}}],
                "terminationGracePeriodSeconds": 0,
            },
            "status": {},
        });
        assert_eq!(decode(kinds::schema::all(), &body("v1", "Pod", &raw)), Ok(expected));
    }

    #[test]
    fn every_field_number_is_of_a_field() {
        let schemas = kinds::schema::all();
        let mut known = 0;
        for definition in schemas.definitions() {
            let Some(fields) = fields_of(&definition.name) else { continue };
            let schema = schemas.schema(&definition.name).unwrap();
            for field in fields.values() {
                match field {
                    Field::Inline(name) => assert!(FIELDS.contains_key(name), "{name}"),
                    Field::Named(name, _) => assert!(schema.property(name).is_some(), "{} {name}", definition.name),
                }
            }
            known += 1;
        }
        assert!(known > 500, "{known}");
    }

    #[test]
    fn what_is_malformed_is_refused() {
        let schemas = kinds::schema::all();
        for bad in [
            &b"{}"[..],
            b"k8s\0\x0a",
            b"k8s\0\x0b\x01",
            b"k8s\0",
            &body("v1", "Pod", b"\x0a\xff"),
            &body("v1", "X", b""),
        ] {
            assert!(decode(schemas, bad).is_err(), "{bad:?}");
        }
    }
}
