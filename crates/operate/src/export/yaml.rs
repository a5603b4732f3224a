//! Objects as YAML, in the form that kubectl prints: keys by the alphabet, lists not indented, long lines in one piece.

use serde_json::Value;
use serde_saphyr::SerializerOptions;

/// An object's text. It reads back as the same object, also where YAML 1.1 is spoken.
pub fn write(object: &Value) -> String {
    let mut options = SerializerOptions::default();
    options.compact_list_indent = true;
    options.folded_wrap_chars = usize::MAX;
    let mut text = String::new();
    let written = serde_saphyr::to_fmt_writer_with_options(&mut text, object, options);
    if written.is_ok() && read(&text).is_ok_and(|back| back == *object) {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        return text;
    }
    // JSON is YAML, and has one way only to be read.
    format!("{object:#}\n")
}

/// Reads an object's text.
///
/// # Errors
/// When it is no YAML; says where.
pub fn read(text: &str) -> Result<Value, String> {
    serde_saphyr::from_str(text).map_err(|error| error.to_string().lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_looks_like_kubectls() {
        let object = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"},
            "spec": {"containers": [{"name": "a", "args": ["-c", "yes", "8080"], "ports": [{"containerPort": 80}]}]},
            "data": {"conf": "a: 1\nb: 2\n"}, "empty": {}, "none": []});
        let expected = "\
apiVersion: v1
data:
  conf: |
    a: 1
    b: 2
empty: {}
kind: Pod
metadata:
  name: a
none: []
spec:
  containers:
  - args:
    - -c
    - \"yes\"
    - \"8080\"
    name: a
    ports:
    - containerPort: 80
";
        assert_eq!(write(&object), expected);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let long = "word ".repeat(60);
        let nasty = [
            "yes",
            "NO",
            "on",
            "~",
            "null",
            "1e3",
            "0x10",
            "010",
            "1_000",
            "12:30:45",
            "2026-01-01",
            "- a",
            "a: b",
            "#c",
            " lead",
            "trail ",
            "tab\there",
            "a\n\nb\n",
            "\n",
            "\r\n",
            "\u{85}",
            "\u{feff}",
            "ünï",
            "{}",
            "[",
            "!x",
            "&x",
            "*x",
            "%",
            "@",
            "`",
            "'",
            "\"",
            "\\",
            "?",
            "|",
            ">",
            "=",
            "<<",
            "",
            ".inf",
            "a\n  b\n c\n",
            "  a\nb",
            long.as_str(),
            "x \n",
            "\u{0}",
            "\u{7f}",
            "…",
        ];
        for text in nasty {
            let object = json!({"data": {text: text, "list": [text, {"deep": [[text]]}]}});
            assert_eq!(read(&write(&object)), Ok(object), "{text:?}");
        }
        assert!(!write(&json!({"a": long})).contains('>'), "long lines stay in one piece");
    }
}
