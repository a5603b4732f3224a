//! TOML with places: what a key says, and which bytes say it.

use std::ops::Range;

use toml_edit::{Document, Item, TableLike};

use crate::text::{Position, unquoted};

/// A value, and its bytes in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its bytes. Of a string: with the quotes.
    pub span: Range<usize>,
}

impl Spanned<String> {
    /// The bytes of the first run of such characters in the value.
    pub fn run(&self, text: &str, is: impl Fn(char) -> bool) -> Option<Range<usize>> {
        let all = characters(text, &self.span);
        let from = all.iter().position(|(_, character)| is(*character))?;
        let until =
            all[from..].iter().position(|(_, character)| !is(*character)).map_or(all.len(), |length| from + length);
        Some(all[from].0.start..all[until - 1].0.end)
    }

    /// The bytes of these characters of the value, counted from 0; the end of the value where it is shorter.
    pub fn part(&self, text: &str, characters_from: usize, characters_to: usize) -> Range<usize> {
        let all = characters(text, &self.span);
        let inner = all.last().map_or_else(|| inside(text, &self.span).end, |(bytes, _)| bytes.end);
        let start = all.get(characters_from).map_or(inner, |(bytes, _)| bytes.start);
        let end = characters_to.checked_sub(1).and_then(|last| all.get(last)).map_or(inner, |(bytes, _)| bytes.end);
        start..end.max(start)
    }

    /// The bytes of the value without its quotes.
    pub fn inside(&self, text: &str) -> Range<usize> {
        inside(text, &self.span)
    }

    /// From the first character that differs from this text to the end of the value.
    pub fn from_difference(&self, text: &str, wanted: &str) -> Range<usize> {
        let same = self.value.chars().zip(wanted.chars()).take_while(|(one, other)| one == other).count();
        self.part(text, same, usize::MAX)
    }
}

/// The bytes between the quotes of a string or key.
fn inside(text: &str, span: &Range<usize>) -> Range<usize> {
    let raw = text.get(span.clone()).unwrap_or_default();
    let quotes = ["\"\"\"", "'''", "\"", "'"];
    let quote =
        quotes.into_iter().find(|quote| raw.len() >= 2 * quote.len() && raw.starts_with(quote) && raw.ends_with(quote));
    let width = quote.map_or(0, str::len);
    span.start + width..(span.end - width).max(span.start + width)
}

/// The characters of a string or key, each with its bytes: an escape counts as one.
fn characters(text: &str, span: &Range<usize>) -> Vec<(Range<usize>, char)> {
    let inner = inside(text, span);
    let escapes = text.get(span.clone()).is_some_and(|raw| raw.starts_with('"'));
    let raw = text.get(inner.clone()).unwrap_or_default();
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(character) = raw[at..].chars().next() {
        let mut length = character.len_utf8();
        let mut value = character;
        if escapes && character == '\\' {
            let digits = match raw[at + 1..].chars().next() {
                Some('u') => 4,
                Some('U') => 8,
                Some('x') => 2,
                _ => 0,
            };
            let next = raw[at + 1..].chars().next().map_or(0, char::len_utf8);
            length = (1 + next + digits).min(raw.len() - at);
            while !raw.is_char_boundary(at + length) {
                length += 1;
            }
            value = unquoted(&raw[at..at + length]).chars().next().unwrap_or(character);
        }
        all.push((inner.start + at..inner.start + at + length, value));
        at += length;
    }
    all
}

/// Why a text is no TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The reader's words.
    pub message: String,
    /// Where.
    pub position: Position,
    /// The bytes.
    pub span: Range<usize>,
}

/// A TOML text that was read.
#[derive(Clone, Debug)]
pub struct Toml {
    document: Document<String>,
}

impl Toml {
    /// Reads a text.
    ///
    /// # Errors
    /// When it is no TOML.
    pub fn read(text: &str) -> Result<Self, Refused> {
        // A byte order mark is harmless to containerd's reader.
        Document::parse(text.to_owned()).map(|document| Self { document }).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            Refused { message: error.message().to_owned(), position: Position::of(text, span.start), span }
        })
    }

    /// The item at a path of keys.
    pub fn item(&self, path: &[&str]) -> Option<&Item> {
        let mut table: &dyn TableLike = self.document.as_table();
        let (last, parents) = path.split_last()?;
        for key in parents {
            table = table.get(key)?.as_table_like()?;
        }
        table.get(last)
    }

    /// Keys of the table at a path, with the bytes of each key where it is written.
    pub fn keys(&self, path: &[&str]) -> Vec<Spanned<String>> {
        let table: Option<&dyn TableLike> = match path {
            [] => Some(self.document.as_table()),
            path => self.item(path).and_then(Item::as_table_like),
        };
        let Some(table) = table else { return Vec::new() };
        let keys = table.iter().filter_map(|(name, item)| {
            let span = table.key(name).and_then(toml_edit::Key::span).or_else(|| item.span())?;
            Some(Spanned { value: name.to_owned(), span })
        });
        keys.collect()
    }

    /// The key of a path as it is written, with its bytes.
    pub fn key(&self, path: &[&str]) -> Option<Spanned<String>> {
        let (last, parents) = path.split_last()?;
        self.keys(parents).into_iter().find(|key| key.value == *last)
    }

    /// Every value that is no table: its keys from the top, itself, its bytes.
    pub fn leaves(&self) -> Vec<(Vec<String>, &Item, Range<usize>)> {
        let mut leaves = Vec::new();
        leaves_of(self.document.as_table(), &mut Vec::new(), &mut leaves);
        leaves
    }

    /// A string at a path.
    pub fn string(&self, path: &[&str]) -> Option<Spanned<String>> {
        let item = self.item(path)?;
        Some(Spanned { value: item.as_str()?.to_owned(), span: item.span()? })
    }

    /// A truth value at a path.
    pub fn boolean(&self, path: &[&str]) -> Option<Spanned<bool>> {
        let item = self.item(path)?;
        Some(Spanned { value: item.as_bool()?, span: item.span()? })
    }

    /// A whole number at a path.
    pub fn integer(&self, path: &[&str]) -> Option<Spanned<i64>> {
        let item = self.item(path)?;
        Some(Spanned { value: item.as_integer()?, span: item.span()? })
    }

    /// The strings of an array at a path; a single string counts as an array of one.
    pub fn strings(&self, path: &[&str]) -> Vec<Spanned<String>> {
        if let Some(single) = self.string(path) {
            return vec![single];
        }
        let array = self.item(path).and_then(Item::as_array);
        let strings = array.into_iter().flatten();
        strings.filter_map(|value| Some(Spanned { value: value.as_str()?.to_owned(), span: value.span()? })).collect()
    }
}

fn leaves_of<'a>(
    table: &'a dyn TableLike,
    path: &mut Vec<String>,
    leaves: &mut Vec<(Vec<String>, &'a Item, Range<usize>)>,
) {
    for (key, item) in table.iter() {
        path.push(key.to_owned());
        match (item.as_table_like(), item.span()) {
            (Some(inner), _) => leaves_of(inner, path, leaves),
            (None, Some(span)) => leaves.push((path.clone(), item, span)),
            (None, None) => {}
        }
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_bytes() {
        let text = "a = \"x\"\n[t.\"k y\"]\n  e = [\" u\", \"v\"]\n";
        let toml = Toml::read(text).unwrap();
        assert_eq!(&text[toml.string(&["a"]).unwrap().span], "\"x\"");
        let strings = toml.strings(&["t", "k y", "e"]);
        assert_eq!((strings[0].value.as_str(), &text[strings[0].span.clone()]), (" u", "\" u\""));
        assert_eq!(&text[toml.keys(&["t"])[0].span.clone()], "\"k y\"");
        let escaped = "k = \"\\thttp://x\"";
        let value = Toml::read(escaped).unwrap().string(&["k"]).unwrap();
        assert_eq!(value.run(escaped, |character| character == '\t'), Some(5..7));
        assert_eq!(&escaped[value.from_difference(escaped, "\thttp://y")], "x");
        assert_eq!(&escaped[value.part(escaped, 1, 5)], "http");
        assert_eq!(Toml::read("\u{feff}a = 1\n").unwrap().integer(&["a"]).unwrap().span, 7..8);
        let refused = Toml::read("a = 1\nb = = 2\n").unwrap_err();
        assert_eq!(refused.position.line, 2);
    }
}
