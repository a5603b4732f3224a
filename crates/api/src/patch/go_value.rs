//! JSON values as Go's `%v` prints them: merge patch errors quote them so.

use std::fmt;

use serde_json::Value;

/// Longest text that an error quotes, in bytes, give or take one value.
const MAX_LEN: usize = 1024;

/// Prints `map[image:nginx ports:[80 81]]`; cut off when long.
pub(super) fn go_value(value: &Value) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail; the error is how `write` says that the text is long enough.
    if write(&mut text, value).is_err() {
        text.push_str("...");
    }
    text
}

fn write(out: &mut String, value: &Value) -> fmt::Result {
    use fmt::Write;
    if out.len() > MAX_LEN {
        return Err(fmt::Error);
    }
    match value {
        Value::Null => out.write_str("<nil>"),
        Value::Bool(flag) => write!(out, "{flag}"),
        Value::Number(number) => write!(out, "{number}"),
        Value::String(text) => out.write_str(text),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(' ');
                }
                write(out, item)?;
            }
            out.write_char(']')
        }
        Value::Object(fields) => {
            out.push_str("map[");
            // Go prints maps sorted by key.
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            for (at, (name, field)) in sorted.into_iter().enumerate() {
                let gap = if at > 0 { " " } else { "" };
                write!(out, "{gap}{name}:")?;
                write(out, field)?;
            }
            out.write_char(']')
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::go_value;

    #[test]
    fn values_look_as_go_prints_them() {
        let value = json!({"b": [1, "x", null], "a": {"c": true}});
        assert_eq!(go_value(&value), "map[a:map[c:true] b:[1 x <nil>]]");
    }

    #[test]
    fn long_values_are_cut_off() {
        let text = go_value(&json!(vec!["0123456789"; 10_000]));
        assert!(text.len() < 1100 && text.ends_with("..."), "{}", text.len());
    }
}
