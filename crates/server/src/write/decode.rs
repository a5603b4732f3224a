//! From the bytes of a body to an object of the right kind: parsed, checked against the schema, pruned.

use api::Status;
use api::schema::{CheckOptions, Checked, SchemaSet};
use serde_json::{Value, json};

use crate::http::json::{self, Parsed};
use crate::http::media::Encoding;
use crate::http::protobuf;
use crate::route::Served;

/// What happens to unknown and duplicate fields (`fieldValidation`, KEP-2885).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Validation {
    /// They are dropped.
    Ignore,
    /// They are dropped, and the answer warns.
    Warn,
    /// The write is refused.
    Strict,
}

/// An object as sent, in the version asked for.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) value: Value,
    pub(crate) warnings: Vec<String>,
}

/// Parses a body.
///
/// # Errors
/// 400 when it is malformed.
pub(crate) fn parse(schemas: &SchemaSet, bytes: &[u8], encoding: Encoding) -> Result<Parsed, Status> {
    let parsed = match encoding {
        Encoding::Json => json::parse(bytes).map_err(|error| format!("json parse error: {error}")),
        Encoding::Protobuf => protobuf::decode(schemas, bytes).map(|value| Parsed { value, duplicates: Vec::new() }),
        Encoding::Yaml => json::parse_yaml(bytes).map_err(|error| format!("yaml parse error: {error}")),
    };
    parsed.map_err(|why| Status::bad_request(format!("couldn't get version/kind; {why}")))
}

/// Reads a body as an object of the kind that the URL names.
///
/// # Errors
/// 400 when it is none.
pub(crate) fn decode(
    schemas: &SchemaSet,
    served: &Served,
    bytes: &[u8],
    encoding: Encoding,
    validation: Validation,
) -> Result<Decoded, Status> {
    let parsed = parse(schemas, bytes, encoding)?;
    check(schemas, served, parsed, validation)
}

/// Checks a parsed body against kind and schema.
///
/// # Errors
/// 400 when it does not fit.
pub(crate) fn check(
    schemas: &SchemaSet,
    served: &Served,
    parsed: Parsed,
    validation: Validation,
) -> Result<Decoded, Status> {
    let Parsed { mut value, duplicates } = parsed;
    let (kind, version) = (served.kind.kind, served.api_version());
    if !value.is_object() {
        return Err(Status::bad_request(
            "couldn't get version/kind; json parse error: json: cannot unmarshal a value that is not an object",
        ));
    }
    json::check_depth(&value).map_err(|error| cannot_be_handled(served, &error.to_string()))?;
    check_type(&value, kind, &version)?;
    value["kind"] = json!(kind);
    value["apiVersion"] = json!(version);
    let checked = match schemas.schema_of(served.group(), served.version(), kind) {
        Some(schema) => schema.check(&mut value, CheckOptions::default()),
        None => Checked::default(),
    };
    if let Some(error) = checked.decode_error() {
        return Err(cannot_be_handled(served, error));
    }
    if !value["metadata"].is_object() {
        value["metadata"] = json!({});
    }
    let mut problems = checked.warnings();
    problems.extend(duplicates.iter().map(|path| format!("duplicate field \"{path}\"")));
    match validation {
        Validation::Strict if !problems.is_empty() => {
            Err(cannot_be_handled(served, &format!("strict decoding error: {}", problems.join(", "))))
        }
        Validation::Ignore => Ok(Decoded { value, warnings: Vec::new() }),
        Validation::Warn | Validation::Strict => Ok(Decoded { value, warnings: problems }),
    }
}

/// The body must name the kind of the URL, or none.
fn check_type(value: &Value, kind: &str, version: &str) -> Result<(), Status> {
    let text = |field: &str| match &value[field] {
        Value::Null => Ok(""),
        Value::String(text) => Ok(text.as_str()),
        other => Err(Status::bad_request(format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go struct field .{field} of type string",
            type_name(other),
        ))),
    };
    let (sent_kind, sent_version) = (text("kind")?, text("apiVersion")?);
    if !sent_version.is_empty() && sent_version != version {
        return Err(Status::bad_request(format!(
            "the API version in the data ({sent_version}) does not match the expected API version ({version})"
        )));
    }
    if !sent_kind.is_empty() && sent_kind != kind {
        return Err(Status::bad_request(format!(
            "{kind} in version {:?} cannot be handled as a {kind}: the kind in the data ({sent_kind}) does not match the expected kind ({kind})",
            version.rsplit('/').next().unwrap_or(version),
        )));
    }
    Ok(())
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn cannot_be_handled(served: &Served, why: &str) -> Status {
    let kind = served.kind.kind;
    Status::bad_request(format!("{kind} in version {:?} cannot be handled as a {kind}: {why}", served.version()))
}
