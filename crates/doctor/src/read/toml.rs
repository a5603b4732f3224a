//! TOML with places: what a key says, and which bytes say it.

use std::ops::Range;

use toml_edit::{Document, Item, TableLike};

use crate::text::Position;

/// A value, and its bytes in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Its bytes. Of a string: with the quotes.
    pub span: Range<usize>,
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
        let refused = Toml::read("a = 1\nb = = 2\n").unwrap_err();
        assert_eq!(refused.position.line, 2);
    }
}
