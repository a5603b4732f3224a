//! Places of manifests, and blocks of lines in them.

use std::ops::Range;

use crate::finding::Place;
use crate::read::manifest::{Document, Node};

/// Bytes of an item.
pub(super) fn text(item: usize, span: &Range<usize>) -> Place {
    Place::Text { item, span: span.clone() }
}

/// An object, or a field of it.
pub(super) fn object(kind: &str, namespace: &str, name: &str, field: &str) -> Place {
    Place::Object {
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        field: field.to_owned(),
    }
}

/// `Deployment "web"`.
pub(super) fn named(document: &Document) -> String {
    let kind = match document.top("kind") {
        "" => "object",
        kind => kind,
    };
    match document.name() {
        "" => format!("the {kind}"),
        name => format!("the {kind} `{name}`"),
    }
}

/// Whole lines of a block entry: from the first of its key to the last of its value, with the line's end. `None` when
/// something else stands on these lines.
pub(super) fn lines(text: &str, key: &Node, value: &Node) -> Option<Range<usize>> {
    let start = text.get(..key.span.start)?.rfind('\n').map_or(0, |at| at + 1);
    let bare = text.get(start..key.span.start)?.chars().all(|blank| blank == ' ');
    bare.then(|| start..line_end(text, value.span.end.max(key.span.end)))
}

/// Behind the end of the line in which an offset lies.
pub(super) fn line_end(text: &str, offset: usize) -> usize {
    // A block's end may be the beginning of the next line already.
    if offset > 0 && text.as_bytes().get(offset - 1) == Some(&b'\n') {
        return offset;
    }
    text.get(offset..).and_then(|rest| rest.find('\n')).map_or(text.len(), |at| offset + at + 1)
}

/// Lines moved to the left or right.
pub(super) fn shifted(block: &str, from: usize, to: usize) -> Option<String> {
    let mut moved = String::with_capacity(block.len() + 16);
    for line in block.split_inclusive('\n') {
        if line.trim().is_empty() {
            moved.push_str(line);
            continue;
        }
        let blanks = line.len() - line.trim_start_matches(' ').len();
        let indent = (blanks + to).checked_sub(from)?;
        moved.push_str(&" ".repeat(indent));
        moved.push_str(&line[blanks..]);
    }
    if !moved.ends_with('\n') {
        moved.push('\n');
    }
    Some(moved)
}
