//! Reading scalars as the Go types behind them do, and bringing them into the form that those types print.

use serde_json::{Number, Value};

use super::node::{Format, Node, Type};
use super::{quantity, time};

/// Why a scalar does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// The wrong JSON type.
    Type {
        /// What was found, for example `string` or `number 1.5`.
        found: String,
        /// The Go type that was read into, when it is not the field's own.
        go_type: Option<&'static str>,
    },
    /// The right JSON type with unreadable content.
    Text(String),
}

/// Checks a scalar and brings it into canonical form.
pub(super) fn check(value: &mut Value, node: &Node) -> Result<(), Problem> {
    match node.format {
        Format::Quantity => check_quantity(value),
        Format::IntOrString => check_int_or_string(value),
        Format::DateTime => check_time(value, time::seconds),
        Format::MicroTime => check_time(value, time::microseconds),
        Format::Byte => check_bytes(value),
        Format::None | Format::Int32 | Format::Int64 | Format::Double | Format::Other => check_plain(value, node),
    }
}

/// What a value is in the words of Go's JSON errors.
pub(crate) fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn wrong_type(value: &Value, go_type: Option<&'static str>) -> Problem {
    Problem::Type { found: json_type(value).to_owned(), go_type }
}

fn check_plain(value: &Value, node: &Node) -> Result<(), Problem> {
    match (node.kind, value) {
        (Type::Integer, Value::Number(number)) if fits(number, node.format) => Ok(()),
        (Type::Integer, Value::Number(number)) => {
            Err(Problem::Type { found: format!("number {number}"), go_type: None })
        }
        (Type::String, Value::String(_))
        | (Type::Boolean, Value::Bool(_))
        | (Type::Number, Value::Number(_))
        | (Type::Any, _) => Ok(()),
        _ => Err(wrong_type(value, None)),
    }
}

fn fits(number: &Number, format: Format) -> bool {
    match (number.as_i64(), format) {
        (Some(integer), Format::Int32) => i32::try_from(integer).is_ok(),
        (integer, _) => integer.is_some(),
    }
}

fn check_quantity(value: &mut Value) -> Result<(), Problem> {
    let text = match &*value {
        Value::String(text) => text.trim().to_owned(),
        // Anything else is parsed as its text, which fails for all but numbers.
        other => other.to_string(),
    };
    *value = Value::String(quantity::canonical(&text).map_err(|reason| Problem::Text(reason.into()))?);
    Ok(())
}

fn check_int_or_string(value: &Value) -> Result<(), Problem> {
    match value {
        Value::String(_) => Ok(()),
        Value::Number(number) if fits(number, Format::Int32) => Ok(()),
        Value::Number(number) => Err(Problem::Type { found: format!("number {number}"), go_type: Some("int32") }),
        other => Err(wrong_type(other, Some("int32"))),
    }
}

fn check_time(value: &mut Value, canonical: fn(&str) -> Result<String, String>) -> Result<(), Problem> {
    let Value::String(text) = &*value else { return Err(wrong_type(value, Some("string"))) };
    *value = Value::String(canonical(text).map_err(Problem::Text)?);
    Ok(())
}

/// Base64 as Go's standard encoding reads it: padded, line breaks ignored.
fn check_bytes(value: &mut Value) -> Result<(), Problem> {
    let Value::String(text) = value else { return Err(wrong_type(value, None)) };
    if let Some(at) = illegal_base64(text) {
        return Err(Problem::Text(format!("illegal base64 data at input byte {at}")));
    }
    text.retain(|c| c != '\n' && c != '\r');
    Ok(())
}

/// Where base64 goes wrong.
fn illegal_base64(text: &str) -> Option<usize> {
    let mut digits = 0_usize;
    let mut padding = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'\r' | b'\n' => {}
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => digits += 1,
            b'=' if padding < 2 && digits % 4 + padding >= 2 => padding += 1,
            _ => return Some(at),
        }
    }
    // Go points at the start of the group that is cut short.
    let cut_short = (digits + padding) % 4;
    (cut_short != 0).then(|| text.len() - cut_short)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::node::{Format, Node, Type};
    use super::{Problem, check};

    fn read(kind: Type, format: Format, value: Value) -> Result<Value, Problem> {
        let mut value = value;
        check(&mut value, &Node { kind, format, ..Node::default() })?;
        Ok(value)
    }

    #[test]
    fn base64_is_read_as_go_reads_it() {
        let good = ["", "YQ==", "YWI=", "YWJj", "YWJj\nYWJj", "+/+/"];
        for text in good {
            let stored = read(Type::String, Format::Byte, json!(text)).unwrap();
            assert_eq!(stored, json!(text.replace('\n', "")));
        }
        let bad = [
            ("not base64", 3),
            ("YQ", 0),
            ("YQ=", 0),
            ("=", 0),
            ("YWJj=", 4),
            ("YQ==YQ==", 4),
            ("YWJj$", 4),
            ("Y===", 1),
        ];
        for (text, at) in bad {
            let reason = format!("illegal base64 data at input byte {at}");
            assert_eq!(read(Type::String, Format::Byte, json!(text)), Err(Problem::Text(reason)), "{text}");
        }
    }

    #[test]
    fn integers_have_bounds() {
        for (format, value, ok) in [
            (Format::Int32, json!(2_147_483_647), true),
            (Format::Int32, json!(2_147_483_648_i64), false),
            (Format::Int32, json!(-2_147_483_648_i64), true),
            (Format::Int64, json!(i64::MAX), true),
            (Format::Int64, json!(u64::MAX), false),
            (Format::Int64, json!(1.5), false),
            (Format::None, json!(1.0), false),
        ] {
            assert_eq!(read(Type::Integer, format, value.clone()).is_ok(), ok, "{value}");
        }
    }

    #[test]
    fn quantities_become_strings() {
        for (given, stored) in [
            (json!(1), json!("1")),
            (json!(0.1), json!("100m")),
            (json!(" 1Gi "), json!("1Gi")),
            (json!("1024Mi"), json!("1Gi")),
        ] {
            assert_eq!(read(Type::Any, Format::Quantity, given), Ok(stored));
        }
        for wrong in [json!("x"), json!(true), json!([]), json!({}), json!("")] {
            assert!(read(Type::Any, Format::Quantity, wrong).is_err());
        }
    }

    #[test]
    fn int_or_string_is_32_bit() {
        assert!(read(Type::Any, Format::IntOrString, json!("50%")).is_ok());
        assert!(read(Type::Any, Format::IntOrString, json!(80)).is_ok());
        assert_eq!(
            read(Type::Any, Format::IntOrString, json!(1.5)),
            Err(Problem::Type { found: "number 1.5".into(), go_type: Some("int32") })
        );
        assert_eq!(
            read(Type::Any, Format::IntOrString, json!([])),
            Err(Problem::Type { found: "array".into(), go_type: Some("int32") })
        );
    }
}
