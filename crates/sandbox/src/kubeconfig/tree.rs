//! A YAML document with the place of every node in its text.

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput, StructureStyle};

/// A node, and which bytes it takes up.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) shape: Shape,
    /// Where it begins: for a block collection, its first key or item.
    pub(super) start: usize,
    /// Behind its last character that is neither space nor comment.
    pub(super) end: usize,
    /// Column of `start`, counted in characters.
    pub(super) column: usize,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    Scalar { text: String, plain: bool },
    Map { flow: bool, entries: Vec<(Node, Node)> },
    List { flow: bool, items: Vec<Node> },
    Alias,
}

impl Node {
    pub(super) fn text(&self) -> Option<&str> {
        match &self.shape {
            Shape::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Nothing at all, `~` or `null`.
    pub(super) fn is_null(&self) -> bool {
        match &self.shape {
            Shape::Scalar { text, plain } => *plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"),
            _ => false,
        }
    }

    /// Value of a key of a mapping.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.shape {
            Shape::Map { entries, .. } => {
                entries.iter().find(|(name, _)| name.text() == Some(key)).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// Items of a list; none for anything else.
    pub(super) fn items(&self) -> &[Self] {
        match &self.shape {
            Shape::List { items, .. } => items,
            _ => &[],
        }
    }

    /// Whether two nodes mean the same, however they are written.
    pub(super) fn means(&self, other: &Self) -> bool {
        match (&self.shape, &other.shape) {
            (Shape::Scalar { text: a, plain: p }, Shape::Scalar { text: b, plain: q }) => {
                (self.is_null() && other.is_null()) || (a == b && p == q)
            }
            (Shape::Map { entries: a, .. }, Shape::Map { entries: b, .. }) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0.means(&b.0) && a.1.means(&b.1))
            }
            (Shape::List { items: a, .. }, Shape::List { items: b, .. }) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.means(b))
            }
            (Shape::Alias, Shape::Alias) => true,
            _ => false,
        }
    }
}

/// Reads a file with at most one document; `None` if there is nothing in it.
pub(super) fn parse(text: &str) -> Result<Option<Node>, String> {
    let mut options = Options::default();
    options.emit_comments = false;
    let mut events = Parser::with_options(StrInput::new(text), options);
    let mut root: Option<Node> = None;
    loop {
        let (event, span) = next(&mut events)?;
        match event {
            Event::StreamEnd => return Ok(root.filter(|node| !node.is_null())),
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            event => {
                let node = read(&mut events, event, span)?;
                if root.as_ref().is_some_and(|root| !root.is_null()) && !node.is_null() {
                    return Err("it holds more than one document".to_owned());
                }
                if root.is_none() || !node.is_null() {
                    root = Some(node);
                }
            }
        }
    }
}

type Events<'a> = Parser<'a, StrInput<'a>>;

fn next<'a>(events: &mut Events<'a>) -> Result<(Event<'a>, Span), String> {
    match events.next() {
        Some(Ok(next)) => Ok(next),
        Some(Err(error)) => Err(error.to_string()),
        None => Ok((Event::StreamEnd, Span::default())),
    }
}

fn read<'a>(events: &mut Events<'a>, event: Event<'a>, span: Span) -> Result<Node, String> {
    let range = span.byte_range().ok_or("the parser gave no position")?;
    let (start, mut end) = (range.start, range.end);
    let column = span.start.col();
    let shape = match event {
        Event::Scalar(text, style, ..) => {
            let plain = style == ScalarStyle::Plain;
            Shape::Scalar { text: text.into_owned(), plain }
        }
        Event::Alias(_) => Shape::Alias,
        Event::SequenceStart(style, ..) => {
            let mut items = Vec::new();
            loop {
                match next(events)? {
                    (Event::SequenceEnd, span) => {
                        end = collection_end(style, &span, items.last(), end);
                        break;
                    }
                    (event, span) => items.push(read(events, event, span)?),
                }
            }
            Shape::List { flow: style == StructureStyle::Flow, items }
        }
        Event::MappingStart(style, ..) => {
            let mut entries = Vec::new();
            loop {
                match next(events)? {
                    (Event::MappingEnd, span) => {
                        end = collection_end(style, &span, entries.last().map(|(_, value)| value), end);
                        break;
                    }
                    (event, span) => {
                        let key = read(events, event, span)?;
                        let (event, span) = next(events)?;
                        entries.push((key, read(events, event, span)?));
                    }
                }
            }
            Shape::Map { flow: style == StructureStyle::Flow, entries }
        }
        _ => return Err("it is not a YAML document".to_owned()),
    };
    Ok(Node { shape, start, end, column })
}

/// A block collection "ends" where the next token begins; what counts here is
/// the end of its content.
fn collection_end(style: StructureStyle, span: &Span, last: Option<&Node>, start: usize) -> usize {
    match (style, last) {
        (StructureStyle::Block, Some(last)) => last.end,
        (StructureStyle::Block, None) => start,
        (StructureStyle::Flow, _) => span.byte_range().map_or(start, |range| range.end),
    }
}
