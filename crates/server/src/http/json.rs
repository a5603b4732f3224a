//! Bodies to values: JSON and YAML, with the fields that stand twice.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Problems that are listed at most; more say nothing new.
const MAX_DUPLICATES: usize = 100;

/// A parsed body.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) value: Value,
    /// Paths of fields that stand twice; the last one counts.
    pub(crate) duplicates: Vec<String>,
}

/// Parses JSON. Nesting is bounded by the parser (128 levels).
///
/// # Errors
/// When the text is no JSON.
pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, serde_json::Error> {
    let duplicates = RefCell::default();
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Seed { path: String::new(), duplicates: &duplicates }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(Parsed { value, duplicates: duplicates.into_inner() })
}

/// Parses one YAML document.
///
/// # Errors
/// When the text is no YAML, or has more in it than a request may.
pub(crate) fn parse_yaml(bytes: &[u8]) -> Result<Parsed, String> {
    let value: Value = serde_saphyr::from_slice(bytes).map_err(|error| error.to_string())?;
    if depth_exceeds(&value, MAX_DEPTH) {
        return Err("exceeded max depth".to_owned());
    }
    Ok(Parsed { value, duplicates: Vec::new() })
}

/// How deep a value may be nested to be read back by a parser with a limit of 128.
pub(crate) const MAX_DEPTH: usize = 120;

/// Whether a value is nested deeper than `limit`.
pub(crate) fn depth_exceeds(value: &Value, limit: usize) -> bool {
    let Some(below) = limit.checked_sub(1) else { return value.is_object() || value.is_array() };
    match value {
        Value::Array(items) => items.iter().any(|item| depth_exceeds(item, below)),
        Value::Object(fields) => fields.values().any(|field| depth_exceeds(field, below)),
        _ => false,
    }
}

struct Seed<'a> {
    path: String,
    duplicates: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let path = format!("{}[{}]", self.path, items.len());
            match seq.next_element_seed(Seed { path, duplicates: self.duplicates })? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            let value = map.next_value_seed(Seed { path: path.clone(), duplicates: self.duplicates })?;
            if fields.insert(name, value).is_some() {
                let mut duplicates = self.duplicates.borrow_mut();
                if duplicates.len() < MAX_DUPLICATES && !duplicates.contains(&path) {
                    duplicates.push(path);
                }
            }
        }
        Ok(Value::Object(fields))
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_i128<E: serde::de::Error>(self, _: i128) -> Result<Value, E> {
        Err(E::custom("number out of range"))
    }
}

/// Refuses values that are nested deeper than can be stored.
///
/// # Errors
/// Names the limit.
pub(crate) fn check_depth(value: &Value) -> Result<(), serde_json::Error> {
    if depth_exceeds(value, MAX_DEPTH) {
        return Err(serde_json::Error::custom("exceeded max depth"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_stand_twice_are_named() {
        let parsed = parse(br#"{"a":1,"b":{"c":[{"d":1,"d":2}]},"a":3,"a":4}"#).unwrap();
        assert_eq!(parsed.value, serde_json::json!({"a": 4, "b": {"c": [{"d": 2}]}}));
        assert_eq!(parsed.duplicates, ["b.c[0].d", "a"]);
    }

    #[test]
    fn what_is_no_json_or_nested_too_deep_is_refused() {
        let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
        let deep_yaml = format!("a: {}", "[".repeat(3000));
        for text in ["", "{", "nul", "{\"a\":1}x", "\u{0}", &deep] {
            assert!(parse(text.as_bytes()).is_err(), "{text:.20}");
        }
        for text in ["a: [", "a: *x", &deep_yaml] {
            assert!(parse_yaml(text.as_bytes()).is_err(), "{text:.20}");
        }
    }
}
