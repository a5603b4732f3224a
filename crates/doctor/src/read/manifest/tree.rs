//! A YAML document as a tree of nodes with their places.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StrInput, StructureStyle};
use serde_json::{Map, Number, Value};

use super::Refused;

/// Nodes that aliases may bring into one file: a few lines can mean billions.
const ALIASED: usize = 100_000;

/// A node, and the bytes it takes up.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub shape: Shape,
    /// From its first character to behind its last one; a block collection begins at its first key or item.
    pub span: Range<usize>,
    /// Column of its first character, from 0.
    pub column: usize,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Shape {
    /// A scalar; plain ones may be numbers, truth values or nothing.
    Scalar {
        /// Its text.
        text: String,
        /// Whether it stands without quotes.
        plain: bool,
    },
    /// A mapping in the order of the file; keys may stand twice.
    Map {
        /// Whether it is written in braces.
        flow: bool,
        /// Keys and values.
        entries: Vec<(Node, Node)>,
    },
    /// A sequence.
    List {
        /// Whether it is written in brackets.
        flow: bool,
        /// Items.
        items: Vec<Node>,
    },
}

impl Node {
    /// A scalar's text.
    pub fn text(&self) -> Option<&str> {
        match &self.shape {
            Shape::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether it says nothing: empty, `~` or `null`.
    pub fn is_null(&self) -> bool {
        match &self.shape {
            Shape::Scalar { text, plain } => *plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"),
            _ => false,
        }
    }

    /// Entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[(Self, Self)] {
        match &self.shape {
            Shape::Map { entries, .. } => entries,
            _ => &[],
        }
    }

    /// Items of a sequence; none for anything else.
    pub fn items(&self) -> &[Self] {
        match &self.shape {
            Shape::List { items, .. } => items,
            _ => &[],
        }
    }

    /// The entry of a mapping.
    pub fn entry(&self, key: &str) -> Option<(&Self, &Self)> {
        self.entries().iter().find(|(name, _)| name.text() == Some(key)).map(|(key, value)| (key, value))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|(_, value)| value)
    }

    /// Key and value at a path as Kubernetes writes it: `spec.containers[0].name`, `metadata.labels[a/b]`.
    pub fn find(&self, path: &str) -> Option<(Option<&Self>, &Self)> {
        if path.is_empty() {
            return Some((None, self));
        }
        if let Some(rest) = path.strip_prefix('[') {
            let (inside, rest) = rest.split_once(']')?;
            let (key, value) = match &self.shape {
                Shape::List { items, .. } => (None, items.get(inside.parse::<usize>().ok()?)?),
                _ => self.entry(inside).map(|(key, value)| (Some(key), value))?,
            };
            let rest = rest.strip_prefix('.').unwrap_or(rest);
            return if rest.is_empty() { Some((key, value)) } else { value.find(rest) };
        }
        // A key may have dots in it.
        let fits = |key: &str| path.strip_prefix(key).filter(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        let fitting = self.entries().iter().filter_map(|(key, value)| Some((key, value, fits(key.text()?)?)));
        let (key, value, rest) = fitting.min_by_key(|(_, _, rest)| rest.len())?;
        let rest = rest.strip_prefix('.').unwrap_or(rest);
        if rest.is_empty() { Some((Some(key), value)) } else { value.find(rest) }
    }

    /// What it means as JSON, as kubectl reads it.
    pub fn value(&self) -> Value {
        match &self.shape {
            Shape::Scalar { text, plain: false } => Value::String(text.clone()),
            Shape::Scalar { text, plain: true } => plain(text),
            Shape::List { items, .. } => items.iter().map(Self::value).collect(),
            Shape::Map { entries, .. } => {
                let mut map = Map::new();
                for (key, value) in entries {
                    match (key.text(), value.value()) {
                        (Some("<<"), Value::Object(merged)) => {
                            for (name, value) in merged {
                                map.entry(name).or_insert(value);
                            }
                        }
                        (Some(name), value) => {
                            map.insert(name.to_owned(), value);
                        }
                        (None, _) => {}
                    }
                }
                Value::Object(map)
            }
        }
    }

    fn size(&self) -> usize {
        match &self.shape {
            Shape::Scalar { .. } => 1,
            Shape::List { items, .. } => 1 + items.iter().map(Self::size).sum::<usize>(),
            Shape::Map { entries, .. } => 1 + entries.iter().map(|(_, value)| 1 + value.size()).sum::<usize>(),
        }
    }
}

/// A scalar without quotes.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Value::Bool(false),
        _ => {}
    }
    let first = text.trim_start_matches(['+', '-']);
    if !first.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return Value::String(text.to_owned());
    }
    let bare: String = text.chars().filter(|digit| *digit != '_').collect();
    let (sign, digits) = match bare.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, bare.strip_prefix('+').unwrap_or(&bare)),
    };
    let based = |prefix: &str, base| digits.strip_prefix(prefix).and_then(|rest| i64::from_str_radix(rest, base).ok());
    let whole = based("0x", 16).or_else(|| based("0o", 8)).or_else(|| based("0b", 2)).or_else(|| {
        let octal = digits.len() > 1 && digits.starts_with('0');
        if octal { based("0", 8) } else { digits.parse().ok() }
    });
    if let Some(whole) = whole {
        return Value::from(sign * whole);
    }
    let is_float = digits.chars().all(|digit| digit.is_ascii_digit() || matches!(digit, '.' | 'e' | 'E' | '+' | '-'));
    let float = is_float.then(|| bare.parse::<f64>().ok()).flatten().and_then(Number::from_f64);
    float.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

/// The documents of a text, and those that are no YAML.
pub(super) fn read(text: &str) -> (Vec<Node>, Vec<Refused>) {
    let mut options = Options::default();
    options.emit_comments = false;
    let mut reader = Reader {
        events: Parser::with_options(StrInput::new(text), options),
        text,
        anchors: HashMap::new(),
        aliased: 0,
    };
    let (mut roots, mut refused) = (Vec::new(), Vec::new());
    loop {
        match reader.document() {
            Ok(Some(root)) if root.is_null() => {}
            Ok(Some(root)) => roots.push(root),
            Ok(None) => break,
            Err(error) => {
                refused.push(error);
                if refused.len() > 100 || !matches!(reader.events.proceed_next_document(), Ok(true)) {
                    break;
                }
            }
        }
    }
    if let Some(tab) = tab_in_indentation(text)
        && refused.is_empty()
        && roots.iter().any(|root| root.span.contains(&tab))
    {
        // The parser is more patient than kubectl's.
        refused.push(Refused { message: "found character that cannot start any token".to_owned(), span: tab..tab + 1 });
    }
    (roots, refused)
}

/// A tab before the first character of a line that begins a key or an item.
fn tab_in_indentation(text: &str) -> Option<usize> {
    let mut start = 0;
    let mut block: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
        let rest = line[blanks..].trim_end();
        let indent = line.len() - line.trim_start_matches(' ').len();
        // Text below `|` or `>` may have tabs.
        if block.is_some_and(|outer| indent > outer || rest.is_empty()) {
            start += line.len();
            continue;
        }
        block = None;
        if let Some(tab) = line[..blanks].find('\t')
            && !rest.is_empty()
            && !rest.starts_with('#')
            && (rest.contains(": ") || rest.ends_with(':') || rest.starts_with("- "))
        {
            return Some(start + tab);
        }
        let words = rest.rsplit([' ', ':']).next().unwrap_or_default();
        if words.starts_with(['|', '>']) && words.len() <= 3 {
            block = Some(indent);
        }
        start += line.len();
    }
    None
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    text: &'a str,
    anchors: HashMap<usize, Node>,
    aliased: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Refused> {
        match self.events.next() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let at = error.marker().byte_offset().unwrap_or(0).min(self.text.len());
                let message = error.info();
                Err(Refused { span: wrong_at(self.text, at, &message), message })
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    /// The next document; `None` at the end.
    fn document(&mut self) -> Result<Option<Node>, Refused> {
        self.anchors.clear();
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(None),
                (Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _) => {}
                (event, span) => return self.node(event, span).map(Some),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Refused> {
        let range = span.byte_range().unwrap_or(0..0);
        let (start, mut end) = (range.start, range.end);
        let column = span.start.col();
        let (shape, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none();
                (Shape::Scalar { text: text.into_owned(), plain }, anchor)
            }
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                self.aliased += known.as_ref().map_or(0, Node::size);
                if self.aliased > ALIASED {
                    return Err(Refused { message: "document contains excessive aliasing".to_owned(), span: range });
                }
                let null = Shape::Scalar { text: String::new(), plain: true };
                (known.map_or(null, |node| node.shape), 0)
            }
            Event::SequenceStart(style, anchor, _) => {
                let mut items: Vec<Node> = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, span) => {
                            end = end_of(style, &span, items.last(), end);
                            break;
                        }
                        (event, span) => items.push(self.node(event, span)?),
                    }
                }
                (Shape::List { flow: style == StructureStyle::Flow, items }, anchor)
            }
            Event::MappingStart(style, anchor, _) => {
                let mut entries: Vec<(Node, Node)> = Vec::new();
                loop {
                    match self.next()? {
                        (Event::MappingEnd, span) => {
                            end = end_of(style, &span, entries.last().map(|(_, value)| value), end);
                            break;
                        }
                        (event, span) => {
                            let key = self.node(event, span)?;
                            if key.text().is_none() {
                                return Err(Refused { message: "invalid map key".to_owned(), span: start..end });
                            }
                            let (event, span) = self.next()?;
                            let value = self.node(event, span)?;
                            entries.push((key, value));
                        }
                    }
                }
                (Shape::Map { flow: style == StructureStyle::Flow, entries }, anchor)
            }
            _ => (Shape::Scalar { text: String::new(), plain: true }, 0),
        };
        let node = Node { shape, span: start..end.max(start), column };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }
}

/// A block collection "ends" where the next token begins; what counts here is the end of its content.
fn end_of(style: StructureStyle, span: &Span, last: Option<&Node>, start: usize) -> usize {
    match (style, last) {
        (StructureStyle::Block, Some(last)) => last.span.end,
        (StructureStyle::Block, None) => start,
        (StructureStyle::Flow, _) => span.byte_range().map_or(start, |range| range.end),
    }
}

/// The character that is wrong, which is not always where the parser notices it.
fn wrong_at(text: &str, at: usize, message: &str) -> Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    let span = |at: usize| {
        let length = text[at..].chars().next().map_or(0, char::len_utf8);
        at..at + length
    };
    let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
    if let Some(tab) = line[..blanks].find('\t') {
        return span(start + tab);
    }
    if message.contains("mapping values")
        && let Some((first, _)) = line.match_indices(": ").nth(1)
    {
        return span(start + first);
    }
    span(at)
}
