//! What the rules about the text of `config.toml` share: headers of tables, and the places that messages name.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::evidence::Evidence;
use crate::read::{ContainerdConfig, Message};

/// The header of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The keys, without quotes and blanks around them.
    pub keys: Vec<String>,
    /// From `[` to `]`.
    pub span: Range<usize>,
    /// The bytes up to the next header or the end.
    pub block: Range<usize>,
}

/// The headers of a text's tables, found line by line, so that a text that can't be read has them too.
pub fn headers(text: &str) -> Vec<Header> {
    let mut headers: Vec<Header> = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if trimmed.starts_with('[')
            && !trimmed.starts_with("[[")
            && let Some(end) = trimmed.rfind(']')
            && !trimmed[..end].contains('=')
        {
            let start = at + (line.len() - line.trim_start().len());
            if let Some(last) = headers.last_mut() {
                last.block.end = at;
            }
            let span = start..start + end + 1;
            headers.push(Header { keys: keys(&trimmed[1..end]), span, block: at..text.len() });
        }
        at += line.len();
    }
    headers
}

/// A table or key that stands twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twice {
    /// What, in words.
    pub name: String,
    /// Whether it is a table.
    pub is_table: bool,
    /// Its first header or key.
    pub first: Range<usize>,
    /// Its second header or key.
    pub second: Range<usize>,
    /// The first with all that belongs to it.
    pub first_block: Range<usize>,
    /// The second with all that belongs to it.
    pub second_block: Range<usize>,
}

/// The first table or key of a text that stands twice.
pub fn duplicate(text: &str) -> Option<Twice> {
    let headers = headers(text);
    let mut known: HashMap<&[String], &Header> = HashMap::new();
    for header in &headers {
        let Some(first) = known.insert(&header.keys, header) else { continue };
        return Some(Twice {
            name: format!("the table [{}]", header.keys.join(".")),
            is_table: true,
            first: first.span.clone(),
            second: header.span.clone(),
            first_block: first.block.clone(),
            second_block: header.block.clone(),
        });
    }
    let top = 0..headers.first().map_or(text.len(), |header| header.block.start);
    [top].into_iter().chain(headers.into_iter().map(|header| header.block)).find_map(|block| twice_in(text, block))
}

/// A key that stands twice in one block.
fn twice_in(text: &str, block: Range<usize>) -> Option<Twice> {
    let mut known: HashMap<&str, (Range<usize>, Range<usize>)> = HashMap::new();
    let mut at = block.start;
    for line in text.get(block)?.split_inclusive('\n') {
        let whole = at..at + line.len();
        at = whole.end;
        let Some((key, _)) = line.split_once('=') else { continue };
        let name = key.trim();
        if name.is_empty() || !name.chars().all(|plain| plain.is_alphanumeric() || "_-.\"".contains(plain)) {
            continue;
        }
        let start = whole.start + (key.len() - key.trim_start().len());
        let span = start..start + name.len();
        if let Some((first, first_block)) = known.insert(name, (span.clone(), whole.clone())) {
            let name = format!("the key {name}");
            return Some(Twice { name, is_table: false, first, second: span, first_block, second_block: whole });
        }
    }
    None
}

/// Takes `a."b.c".d` apart.
fn keys(dotted: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut quote = None;
    for character in dotted.chars() {
        match (quote, character) {
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            (None, '.') => keys.push(String::new()),
            (None, blank) if blank.is_whitespace() => {}
            (_, plain) => {
                if let Some(last) = keys.last_mut() {
                    last.push(plain);
                }
            }
        }
    }
    keys
}

static POSITION: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\((\d+), (\d+)\)|(?:line|row) (\d+),? (?:column|col) (\d+)").ok());

/// Line and column that a message names.
pub fn position(text: &str) -> Option<(u32, u32)> {
    let found = POSITION.as_ref()?.captures(text)?;
    let number = |one: usize, other: usize| found.get(one).or(found.get(other))?.as_str().parse().ok();
    Some((number(1, 3)?, number(2, 4)?))
}

/// What containerd said of a file that it could not read.
pub fn refusals(evidence: &Evidence) -> impl Iterator<Item = &Message> {
    const WORDS: [&str; 6] =
        ["load TOML", "unmarshal TOML", "decode TOML", "Can't convert", "toml: ", "failed to generate runtime options"];
    // A message about a registry's file is about another file.
    let others = ["hosts.toml", "hosts tree", "failed to decode"];
    evidence.read().failures().filter(move |message| {
        WORDS.iter().any(|words| message.text.contains(words))
            && !others.iter().any(|words| message.text.contains(words))
    })
}

/// The kind of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A table or key stands twice.
    Duplicate,
    /// A value has the wrong type.
    Type,
    /// The file is for another generation.
    Version,
    /// The file is not there.
    Absent,
    /// It is no TOML.
    Syntax,
}

/// What kind of refusal a message tells of.
pub fn refusal(text: &str) -> Refusal {
    let has = |words: &[&str]| words.iter().any(|words| text.contains(words));
    if has(&[
        "duplicated table",
        "duplicate table",
        "duplicated key",
        "duplicate key",
        "already exists",
        "already defined",
    ]) || has(&["was already", "defined twice", "redefin"])
    {
        Refusal::Duplicate
    } else if has(&["Can't convert", "cannot decode TOML", "incompatible type", "cannot store", "type mismatch"]) {
        Refusal::Type
    } else if has(&["plugin URI", "plugin key URI", "config version", "configuration version"]) {
        Refusal::Version
    } else if has(&["no such file"]) {
        Refusal::Absent
    } else {
        Refusal::Syntax
    }
}

/// The path of the file that a refusal names, or the usual one.
pub fn path_of(text: &str) -> &str {
    let words = text.split(|end: char| end.is_whitespace() || end == '"' || end == '`' || end == ',');
    let mut paths = words.map(|word| word.trim_end_matches(':')).filter(|word| word.starts_with('/'));
    paths.find(|word| word.contains(".toml")).unwrap_or("/etc/containerd/config.toml")
}

/// Whether a file is a template from which another program makes the real one.
pub fn is_template(config: &ContainerdConfig, text: &str) -> bool {
    config.path.ends_with(".tmpl") || text.contains("{{")
}

/// A part of a value's bytes: what stands inside its quotes.
pub fn inside(text: &str, span: &Range<usize>) -> Range<usize> {
    let raw = text.get(span.clone()).unwrap_or_default();
    let quote = raw.len() - raw.trim_start_matches(['"', '\'']).len();
    let end = raw.trim_end_matches(['"', '\'']).len();
    if quote >= end { span.clone() } else { span.start + quote..span.start + end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_positions() {
        let text = "version = 2\n  [plugins.\"a.b\".c]\n  x = [1]\n[d]\n";
        let found = headers(text);
        assert_eq!(found[0].keys, ["plugins", "a.b", "c"]);
        assert_eq!(&text[found[0].span.clone()], "[plugins.\"a.b\".c]");
        assert_eq!(&text[found[0].block.clone()], "  [plugins.\"a.b\".c]\n  x = [1]\n");
        assert_eq!(found.len(), 2);
        assert_eq!(position("f: (47, 24): unescaped"), Some((47, 24)));
        assert_eq!(position("at row 3 column 9"), Some((3, 9)));
        assert_eq!(inside("a = \"xy\"", &(4..8)), 5..7);
    }
}
