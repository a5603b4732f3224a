//! YAML with places: what a key says, and which bytes say it. A text that is wrong further down is read up to there.

use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::toml::{Refused, Spanned};
use crate::text::Position;

/// A node of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub shape: Shape,
    /// Its bytes. Of a string: with the quotes; of a block collection: from its first key or item to its last.
    pub span: Range<usize>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A string, number, truth value or nothing; `plain` without quotes.
    Scalar {
        /// The value with quoting undone.
        text: String,
        /// Whether it stands without quotes and not as a block.
        plain: bool,
    },
    /// Keys and values in the order of the text.
    Map(Vec<(Node, Node)>),
    /// Items.
    List(Vec<Node>),
    /// A reference to an anchor.
    Alias,
}

impl Node {
    /// A scalar's text.
    pub fn text(&self) -> Option<&str> {
        match &self.shape {
            Shape::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// A scalar's text with its bytes; nothing for `null` and what is empty.
    pub fn spanned(&self) -> Option<Spanned<String>> {
        let text = self.text().filter(|_| !self.is_null())?;
        Some(Spanned { value: text.to_owned(), span: self.span.clone() })
    }

    /// Nothing at all, `~` or `null`.
    pub fn is_null(&self) -> bool {
        match &self.shape {
            Shape::Scalar { text, plain } => *plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"),
            _ => false,
        }
    }

    /// Keys and values of a mapping; none for anything else.
    pub fn entries(&self) -> &[(Node, Node)] {
        match &self.shape {
            Shape::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Items of a list; none for anything else.
    pub fn items(&self) -> &[Node] {
        match &self.shape {
            Shape::List(items) => items,
            _ => &[],
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
    }

    /// The key itself.
    pub fn key(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name.text() == Some(key)).map(|(name, _)| name)
    }

    /// The value at a path of keys.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// The scalar at a path of keys.
    pub fn string(&self, path: &[&str]) -> Option<Spanned<String>> {
        self.at(path)?.spanned()
    }
}

/// The documents of a text that hold anything, and why the rest can't be read.
pub fn documents(text: &str) -> (Vec<Node>, Option<Refused>) {
    let mut options = Options::default();
    options.emit_comments = false;
    let mut reader = Reader { events: Parser::with_options(StrInput::new(text), options), text };
    let mut documents = Vec::new();
    loop {
        match reader.next() {
            Ok((Event::StreamEnd, _)) => return (documents, None),
            Ok((Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _)) => {}
            Ok((event, span)) => match reader.node(event, &span) {
                (node, None) => documents.extend(Some(node).filter(|node| !node.is_null())),
                (node, refused) => {
                    documents.push(node);
                    return (documents, refused);
                }
            },
            Err(refused) => return (documents, Some(refused)),
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    text: &'a str,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Refused> {
        match self.events.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(self.refused(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn refused(&self, error: &ScanError) -> Refused {
        let mut at = error.marker().byte_offset().unwrap_or(0).min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        Refused { message: error.info(), position: Position::of(self.text, at), span: at..at }
    }

    /// The node that begins with this event, and what is wrong in it.
    fn node(&mut self, event: Event<'a>, span: &Span) -> (Node, Option<Refused>) {
        let range = span.byte_range().filter(|range| self.text.get(range.clone()).is_some()).unwrap_or(0..0);
        match event {
            Event::Scalar(text, style, ..) => {
                let shape = Shape::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                (Node { shape, span: range }, None)
            }
            Event::SequenceStart(..) => self.list(range),
            Event::MappingStart(..) => self.map(range),
            _ => (Node { shape: Shape::Alias, span: range }, None),
        }
    }

    fn list(&mut self, mut span: Range<usize>) -> (Node, Option<Refused>) {
        let mut items: Vec<Node> = Vec::new();
        let refused = loop {
            match self.next() {
                Ok((Event::SequenceEnd | Event::StreamEnd, _)) => break None,
                Ok((event, place)) => {
                    let (item, refused) = self.node(event, &place);
                    span.end = item.span.end.max(span.end);
                    items.push(item);
                    if refused.is_some() {
                        break refused;
                    }
                }
                Err(refused) => break Some(refused),
            }
        };
        (Node { shape: Shape::List(items), span }, refused)
    }

    fn map(&mut self, mut span: Range<usize>) -> (Node, Option<Refused>) {
        let mut entries: Vec<(Node, Node)> = Vec::new();
        let refused = loop {
            let key = match self.next() {
                Ok((Event::MappingEnd | Event::StreamEnd, _)) => break None,
                Ok((event, place)) => self.node(event, &place),
                Err(refused) => break Some(refused),
            };
            let (key, wrong) = key;
            if wrong.is_some() {
                break wrong;
            }
            let (value, wrong) = match self.next() {
                Ok((Event::StreamEnd, _)) => break None,
                Ok((event, place)) => self.node(event, &place),
                Err(refused) => break Some(refused),
            };
            span.end = value.span.end.max(key.span.end).max(span.end);
            entries.push((key, value));
            if wrong.is_some() {
                break wrong;
            }
        };
        (Node { shape: Shape::Map(entries), span }, refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_know_their_bytes() {
        let text = "a:\n  b: \"x \"\n  c: [1, ü]\n---\nd: ~\n";
        let (documents, refused) = documents(text);
        assert_eq!((documents.len(), refused), (2, None));
        let b = documents[0].string(&["a", "b"]).unwrap();
        assert_eq!((b.value.as_str(), &text[b.span]), ("x ", "\"x \""));
        let items = documents[0].at(&["a", "c"]).unwrap().items();
        assert_eq!(&text[items[1].span.clone()], "ü");
        assert_eq!(documents[1].string(&["d"]), None);
    }

    #[test]
    fn what_is_wrong_has_a_place_and_what_stands_before_it_is_read() {
        let (found, refused) = documents("a: 1\nb: c: d\n");
        assert_eq!(found[0].string(&["a"]).unwrap().value, "1");
        assert_eq!(refused.unwrap().position.line, 2);
        for text in ["\t", "a: \"", "[", "- a\n b: c", "*x", "\u{feff}a: b", "a: |\n b\n\tc"] {
            let _ = documents(text);
        }
    }
}
