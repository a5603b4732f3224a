//! Reports for people and for programs. Pure: who calls decides about width and colours.

mod diff;
mod json;
mod line;
mod paint;
mod proof;
mod sarif;
mod text;

pub use json::json;
pub use sarif::sarif;
pub use text::{changes, finding, text};

pub use diff::applied;

use crate::evidence::Evidence;
use crate::finding::Place;
use crate::text::Position;

/// How text is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// With colours, as ANSI sequences.
    pub colours: bool,
    /// Columns of the terminal.
    pub width: usize,
}

/// A place in one line: `node-2 /etc/containerd/config.toml:12:15`, `Pod default/web spec.nodeName`.
pub fn place(evidence: &Evidence, place: &Place) -> String {
    let words = |words: &[&str]| words.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(" ");
    match place {
        Place::Text { item, span } => {
            let Some(item) = evidence.items().get(*item) else { return "unknown".to_owned() };
            let Position { line, column } = Position::of(&item.text, span.start);
            format!("{}:{line}:{column}", item.origin.0)
        }
        Place::Object { kind, namespace, name, field } => {
            let name = if namespace.is_empty() { name.clone() } else { format!("{namespace}/{name}") };
            words(&[kind, &name, field])
        }
        Place::Machine { node, what } => words(&[node, what]),
        Place::Service(name) => name.clone(),
    }
}

/// `1 error, 2 warnings`; `nothing is wrong` without any.
pub(crate) fn counted(number: usize, word: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {word}{s}")
}
