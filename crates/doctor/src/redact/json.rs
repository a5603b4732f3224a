//! Secrets in JSON: values of Secret objects, and variables of containers. The text need not be well-formed.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::{Cuts, REDACTED, is_secret_name};

/// Levels that are followed: objects of the API have less than 40.
const DEPTH: usize = 120;
/// Keys of a Secret whose values are public.
const PUBLIC: [&str; 2] = ["tls.crt", "ca.crt"];

/// Gives whether the text could be read to its end.
pub(super) fn find(text: &str, cuts: &mut Cuts) -> bool {
    let mut scanner = Scanner { text, at: 0, cuts };
    // A text may hold several values, one after the other.
    while scanner.skip_blanks() {
        if scanner.value(0).is_none() {
            return false;
        }
    }
    true
}

struct Scanner<'a, 'c> {
    text: &'a str,
    at: usize,
    cuts: &'c mut Cuts,
}

/// A value of an object: its key, and the bytes of the value; of a string without the quotes.
struct Entry<'a> {
    key: &'a str,
    value: Range<usize>,
    string: bool,
}

impl<'a> Scanner<'a, '_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) -> bool {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace() || byte == b',') {
            self.at += 1;
        }
        self.peek().is_some()
    }

    /// Goes behind one value and gives its bytes; `None` when it can't go on.
    fn value(&mut self, depth: usize) -> Option<(Range<usize>, bool)> {
        if depth > DEPTH || !self.skip_blanks() {
            return None;
        }
        let start = self.at;
        match self.peek()? {
            b'{' => self.object(depth)?,
            b'[' => self.list(depth)?,
            b'"' => return Some((self.string()?, true)),
            _ => {
                let end = self.text[start..].find([',', '}', ']', '\n']).map_or(self.text.len(), |at| start + at);
                if end == start {
                    return None;
                }
                self.at = end;
            }
        }
        Some((start..self.at, false))
    }

    /// The bytes between the quotes.
    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at + 1;
        let mut at = start;
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(at)? {
                b'"' => break,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        self.at = at + 1;
        Some(start..at)
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        loop {
            if !self.skip_blanks() {
                return None;
            }
            if self.peek() == Some(b']') {
                self.at += 1;
                return Some(());
            }
            self.value(depth + 1)?;
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.at += 1;
        let mut entries: Vec<Entry<'a>> = Vec::new();
        loop {
            if !self.skip_blanks() {
                break;
            }
            match self.peek() {
                Some(b'}') => {
                    self.at += 1;
                    self.judge(&entries);
                    return Some(());
                }
                Some(b'"') => {}
                _ => break,
            }
            let Some(key) = self.string() else { break };
            self.skip_blanks();
            if self.peek() == Some(b':') {
                self.at += 1;
            }
            let Some((value, string)) = self.value(depth + 1) else { break };
            entries.push(Entry { key: &self.text[key], value, string });
        }
        // A text that breaks off is judged by what there is of it.
        self.judge(&entries);
        None
    }

    fn judge(&mut self, entries: &[Entry<'a>]) {
        let text_of = |name: &str| {
            let entry = entries.iter().find(|entry| entry.key == name && entry.string)?;
            self.text.get(entry.value.clone())
        };
        if text_of("kind") == Some("Secret") {
            for entry in entries.iter().filter(|entry| ["data", "stringData"].contains(&entry.key) && !entry.string) {
                self.secret(&entry.value);
            }
        }
        // A variable of a container or of a credential plugin.
        if text_of("name").is_some_and(is_secret_name)
            && let Some(value) = entries.iter().find(|entry| entry.key == "value" && entry.string)
        {
            self.cuts.take(self.text, value.value.clone());
        }
        // An object in a string, such as the configuration that was applied last.
        for entry in entries.iter().filter(|entry| entry.string) {
            let words = &self.text[entry.value.clone()];
            if words.contains(r#"\"kind\":\"Secret\""#) {
                self.cuts.take(self.text, entry.value.clone());
            } else if words.starts_with(['{', '[']) && words.contains(r#"\"value\""#) {
                self.nested(entry.value.clone());
            }
        }
    }

    /// Variables in an object that stands in a string: the whole string is replaced by one without them.
    fn nested(&mut self, span: Range<usize>) {
        let quoted = format!("\"{}\"", &self.text[span.clone()]);
        let Ok(plain) = serde_json::from_str::<String>(&quoted) else { return };
        let redacted = super::text(crate::evidence::ItemKind::Objects, &plain).text;
        if redacted != plain {
            let new = Value::String(redacted).to_string();
            self.cuts.replace(self.text, span, new[1..new.len() - 1].to_owned());
        }
    }

    /// Takes every value of a Secret's `data`.
    fn secret(&mut self, data: &Range<usize>) {
        let text = &self.text[..data.end];
        let mut nothing = Cuts::default();
        let mut inner = Scanner { text, at: data.start + 1, cuts: &mut nothing };
        while inner.skip_blanks() && inner.peek() == Some(b'"') {
            let Some(key) = inner.string() else { return };
            inner.skip_blanks();
            if inner.peek() == Some(b':') {
                inner.at += 1;
            }
            let Some((value, _)) = inner.value(0) else { return };
            let name = &self.text[key];
            let new = if name.starts_with(".dockerc") { hosts_only(&self.text[value.clone()]) } else { None };
            match new {
                _ if PUBLIC.contains(&name) => {}
                Some(new) => self.cuts.replace(self.text, value, new),
                None => self.cuts.take(self.text, value),
            }
        }
    }
}

/// Registry credentials with the hosts that they are for, and nothing else. In base64 as they came.
fn hosts_only(data: &str) -> Option<String> {
    let decoded = BASE64.decode(data).ok()?;
    let mut config: Value = serde_json::from_slice(&decoded).ok()?;
    let blank = |entries: &mut Value| {
        for (_, entry) in entries.as_object_mut().into_iter().flatten() {
            *entry = serde_json::json!({ "auth": REDACTED });
        }
    };
    let has_auths = config.get("auths").is_some();
    blank(if has_auths { &mut config["auths"] } else { &mut config });
    if has_auths {
        config.as_object_mut()?.retain(|key, _| key == "auths");
    }
    Some(BASE64.encode(config.to_string()))
}
