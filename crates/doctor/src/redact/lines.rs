//! Secrets in YAML and TOML, line by line: so that a file which no reader accepts is redacted as well.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{Cuts, RIGHT, is_secret_name};
use crate::evidence::ItemKind;

static KIND_SECRET: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"(?m)["']?\bkind["']?\s*:\s*["']?Secret["']?\s*(?:$|[,}#])"#).expect(RIGHT));

pub(super) fn find(kind: ItemKind, text: &str, cuts: &mut Cuts) {
    match kind {
        ItemKind::ContainerdConfig | ItemKind::HostsToml => headers(text, cuts),
        _ => {
            if KIND_SECRET.is_match(text) {
                for document in documents(text) {
                    if KIND_SECRET.is_match(&text[document.clone()]) {
                        secret(text, document, cuts);
                    }
                }
            }
            if text.contains("name") && text.contains("value") {
                variables(text, cuts);
            }
        }
    }
}

/// Lines of a text with their place.
fn lines(text: &str, span: Range<usize>) -> impl Iterator<Item = (usize, &str)> {
    let mut at = span.start;
    text[span].split_inclusive('\n').map(move |line| {
        let start = at;
        at += line.len();
        (start, line.trim_end_matches(['\n', '\r']))
    })
}

/// Documents between `---` lines.
fn documents(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for (at, line) in lines(text, 0..text.len()) {
        if line.starts_with("---") {
            found.push(start..at);
            start = at;
        }
    }
    found.push(start..text.len());
    found
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

/// Everything below `data:` and `stringData:` of a document with a Secret.
fn secret(text: &str, document: Range<usize>, cuts: &mut Cuts) {
    static INLINE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"\b(?:stringData|data)["']?\s*:\s*\{(?<secret>[^}\n]+)"#).expect(RIGHT));
    for found in INLINE.captures_iter(&text[document.clone()]) {
        if let Some(secret) = found.name("secret") {
            cuts.take(text, document.start + secret.start()..document.start + secret.end());
        }
    }
    let mut block: Option<usize> = None;
    for (start, line) in lines(text, document) {
        let own = indent(line);
        let words = line.trim_start_matches([' ', '\t', '-']);
        let column = line.len() - words.len();
        if let Some(outer) = block {
            if words.is_empty() || own > outer {
                if !words.is_empty() {
                    value(text, start, line, cuts);
                }
                continue;
            }
            block = None;
        }
        let key = words.trim_start_matches(['"', '\'']);
        let data = ["data", "stringData"].iter().find(|name| {
            key.strip_prefix(**name).is_some_and(|rest| rest.trim_start_matches(['"', '\'', ' ']).starts_with(':'))
        });
        if data.is_none() {
            continue;
        }
        // Of a value in braces on the same line, nothing is left by now.
        if !line.trim_end().ends_with('}') {
            block = Some(column);
        }
    }
}

/// The value of `key: value`, or the whole line when it goes on from above.
fn value(text: &str, start: usize, line: &str, cuts: &mut Cuts) {
    let trimmed = line.trim_end();
    let words = trimmed.trim_start();
    let key_end = words.find(": ").or_else(|| words.strip_suffix(':').map(str::len));
    let key = key_end.map(|at| words[..at].trim_matches(['"', '\'']));
    if key.is_some_and(|key| key == "tls.crt" || key == "ca.crt") || words.starts_with('#') {
        return;
    }
    let from = key_end.map_or(indent(trimmed), |at| {
        let after = indent(trimmed) + at + 1;
        after + (trimmed[after.min(trimmed.len())..].len() - trimmed[after.min(trimmed.len())..].trim_start().len())
    });
    if from >= trimmed.len() || ["}", "},", "{", "]"].contains(&words) {
        return;
    }
    let end = trimmed.trim_end_matches(',').len().max(from);
    // Quotes stay, so that the text keeps its form.
    let raw = &trimmed[from..end];
    let quoted = raw.len() > 1 && raw.starts_with(['"', '\'']) && raw.ends_with(['"', '\'']);
    let inner = if quoted { from + 1..end - 1 } else { from..end };
    let plain = &trimmed[inner.clone()];
    if plain.starts_with(['|', '>']) && plain.len() <= 3 {
        return; // The header of a block; its lines come one by one.
    }
    cuts.take(text, start + inner.start..start + inner.end);
}

/// Variables whose names say that they are secret: `name:` and `value:` in neighbouring lines.
fn variables(text: &str, cuts: &mut Cuts) {
    let mut before: Option<(&str, usize, &str)> = None;
    for (start, line) in lines(text, 0..text.len()) {
        let words = line.trim_start_matches([' ', '\t', '-']);
        let Some((key, rest)) = words.split_once(':') else {
            before = None;
            continue;
        };
        let key = key.trim_matches(['"', '\'']);
        let pair =
            before.filter(|(other, ..)| (*other == "name" && key == "value") || (*other == "value" && key == "name"));
        if let Some((_, other_start, other)) = pair {
            let (name, at, with_value) =
                if key == "value" { (other, start, line) } else { (rest, other_start, other_line(text, other_start)) };
            if is_secret_name(name.trim().trim_matches(['"', '\''])) {
                value(text, at, with_value, cuts);
            }
        }
        before = Some((key, start, rest));
    }
    inline_variables(text, cuts);
}

fn other_line(text: &str, start: usize) -> &str {
    text[start..].split('\n').next().unwrap_or_default().trim_end_matches('\r')
}

/// `{name: X, value: y}` in one line.
fn inline_variables(text: &str, cuts: &mut Cuts) {
    static PAIR: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"\{\s*name:\s*["']?(?<name>[\w.-]+)["']?\s*,\s*value:\s*["']?(?<value>[^"'},]+)"#).expect(RIGHT)
    });
    for found in PAIR.captures_iter(text) {
        if let (Some(name), Some(value)) = (found.name("name"), found.name("value"))
            && is_secret_name(name.as_str())
        {
            cuts.take(text, value.range());
        }
    }
}

/// Values of a `header` table of TOML: they may be credentials of any form.
fn headers(text: &str, cuts: &mut Cuts) {
    static STRINGS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#""(?<a>(?:[^"\\]|\\.)*)"|'(?<b>[^']*)'"#).expect(RIGHT));
    let mut inside = false;
    for (start, line) in lines(text, 0..text.len()) {
        let words = line.trim();
        if words.starts_with('[') && words.contains(']') && !words.contains('=') {
            inside = words.trim_end_matches(']').trim_end().trim_matches(['"', '\'']).ends_with("header");
            continue;
        }
        let inline = words.starts_with("header");
        if !inside && !inline {
            continue;
        }
        let from = line.find('=').map_or(0, |at| at + 1);
        for found in STRINGS.captures_iter(&line[from..]) {
            if let Some(secret) = found.name("a").or_else(|| found.name("b")) {
                cuts.take(text, start + from + secret.start()..start + from + secret.end());
            }
        }
    }
}
