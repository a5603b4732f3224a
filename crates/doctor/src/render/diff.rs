//! What edits change, line by line.

use std::ops::Range;

/// Bytes that go, and what takes their place.
pub type Edit<'a> = (Range<usize>, &'a str);

/// Lines that change together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    /// Number of the first of them, from 1.
    pub line: usize,
    /// The lines that go.
    pub old: Vec<String>,
    /// The lines that come.
    pub new: Vec<String>,
}

/// Applies edits; `None` when they overlap or do not fit the text.
pub fn applied(text: &str, edits: &[Edit<'_>]) -> Option<String> {
    let mut edits = edits.to_vec();
    edits.sort_by_key(|(span, _)| (span.start, span.end));
    let mut new = String::with_capacity(text.len());
    let mut at = 0;
    for (span, replacement) in edits {
        if span.start < at || span.end < span.start {
            return None;
        }
        new.push_str(text.get(at..span.start)?);
        text.get(span.clone())?;
        new.push_str(replacement);
        at = span.end;
    }
    new.push_str(&text[at..]);
    Some(new)
}

/// The changed lines between two texts, with nothing around them. Each run of edits is one hunk.
pub fn hunks(text: &str, edits: &[Edit<'_>]) -> Vec<Hunk> {
    let mut blocks: Vec<(Range<usize>, Vec<Edit<'_>>)> = Vec::new();
    let mut edits = edits.to_vec();
    edits.sort_by_key(|(span, _)| (span.start, span.end));
    for (span, new) in edits {
        if text.get(span.clone()).is_none() {
            continue;
        }
        let start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let end = text[span.end..].find('\n').map_or(text.len(), |at| span.end + at);
        match blocks.last_mut() {
            Some((lines, edits)) if start <= lines.end => {
                lines.end = lines.end.max(end);
                edits.push((span, new));
            }
            _ => blocks.push((start..end, vec![(span, new)])),
        }
    }
    let hunks = blocks.into_iter().filter_map(|(lines, edits)| {
        let shifted: Vec<_> =
            edits.into_iter().map(|(span, new)| (span.start - lines.start..span.end - lines.start, new)).collect();
        let old = &text[lines.clone()];
        let new = applied(old, &shifted)?;
        let first = text[..lines.start].bytes().filter(|byte| *byte == b'\n').count() + 1;
        let hunk = trimmed(first, old, &new);
        (hunk.old != hunk.new).then_some(hunk)
    });
    hunks.collect()
}

/// Leaves out the lines at both ends that are the same.
fn trimmed(mut line: usize, old: &str, new: &str) -> Hunk {
    let lines = |text: &str| text.split('\n').map(str::to_owned).collect::<Vec<_>>();
    let (mut old, mut new) = (lines(old), lines(new));
    while !old.is_empty() && !new.is_empty() && old[0] == new[0] {
        old.remove(0);
        new.remove(0);
        line += 1;
    }
    while !old.is_empty() && !new.is_empty() && old.last() == new.last() {
        old.pop();
        new.pop();
    }
    // What was written as its own line and vanished leaves an empty one, which is none.
    if new.len() == 1 && new[0].is_empty() && old.iter().any(|line| !line.is_empty()) {
        new.clear();
    }
    Hunk { line, old, new }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_of_one_line_are_one_hunk() {
        let text = "a = 1\nb = [\" x\", \" y\"]\nc = 3\n";
        let (first, second) = (text.find(" x").unwrap(), text.find(" y").unwrap());
        let edits = [(second..second + 1, ""), (first..first + 1, "")];
        let found = hunks(text, &edits);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, found[0].old[0].as_str()), (2, "b = [\" x\", \" y\"]"));
        assert_eq!(found[0].new, ["b = [\"x\", \"y\"]"]);
        assert_eq!(applied(text, &edits).unwrap(), "a = 1\nb = [\"x\", \"y\"]\nc = 3\n");
    }

    #[test]
    fn lines_come_and_go() {
        let text = "a\nb\nc\n";
        assert_eq!(hunks(text, &[(2..4, "")]), [Hunk { line: 2, old: vec!["b".into()], new: vec![] }]);
        assert_eq!(hunks(text, &[(2..2, "x\n")]), [Hunk { line: 2, old: vec![], new: vec!["x".into()] }]);
        assert_eq!(hunks(text, &[(6..6, "d\n")]).len(), 1);
        assert_eq!(applied(text, &[(0..3, ""), (2..4, "")]), None, "they overlap");
        assert_eq!(applied(text, &[(0..99, "")]), None);
    }
}
