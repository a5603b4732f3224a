//! One line of a text, made fit to be shown: what can't be seen is written out, what is too long is cut around the part
//! that matters.

use std::ops::Range;

use unicode_width::UnicodeWidthChar as _;

use crate::text::is_invisible;

/// Stands where something was cut.
const CUT: char = '…';
/// Columns of a tab.
const TAB: &str = "    ";
/// Columns that are always there, however narrow the terminal is.
pub(super) const NARROWEST: usize = 16;
/// Characters of a line that are looked at: a journal may have megabytes in one line.
const LONGEST: usize = 20_000;

/// A line as it is shown, and the columns of it that are underlined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) text: String,
    pub(super) underline: Range<usize>,
}

/// One character as it is shown.
struct Cell {
    text: String,
    width: usize,
    marked: bool,
}

/// A line in which `mark` (bytes of it; empty for a place between two characters) is underlined.
pub(super) fn marked(line: &str, mark: &Range<usize>, width: usize) -> Shown {
    let cells = cells(line, mark);
    let mut at = 0;
    let mut underline: Option<Range<usize>> = None;
    for cell in &cells {
        if cell.marked {
            underline = Some(underline.map_or(at..at + cell.width, |found| found.start..at + cell.width));
        }
        at += cell.width;
    }
    // A place between characters, or behind the last one, has one column.
    let underline = underline.unwrap_or_else(|| {
        let before = cells_before(line, mark.start, &cells);
        before..before + 1
    });
    cut(&cells, underline, width.max(NARROWEST))
}

/// A line cut around the bytes that matter.
pub(super) fn around(line: &str, telling: &Range<usize>, width: usize) -> String {
    marked(line, telling, width).text
}

/// A text as it is shown, uncut.
pub(super) fn plain(line: &str) -> String {
    cells(line, &(0..0)).into_iter().map(|cell| cell.text).collect()
}

/// Columns of a text.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

fn cells(line: &str, mark: &Range<usize>) -> Vec<Cell> {
    let marked_text = line.get(mark.clone()).unwrap_or_default();
    let blank_mark = !marked_text.is_empty() && marked_text.chars().all(char::is_whitespace);
    // Far from the mark, a huge line is not looked at.
    let skip = line.get(..mark.start).map_or(0, |before| before.chars().count().saturating_sub(LONGEST / 2));
    let characters = line.char_indices().skip(skip).take(LONGEST);
    let cells = characters.map(|(at, character)| {
        let marked = mark.contains(&at);
        let text = match character {
            '\t' if marked => "\\t".to_owned(),
            '\t' => TAB.to_owned(),
            '\r' => "\\r".to_owned(),
            ' ' if marked && blank_mark => "·".to_owned(),
            hidden if is_invisible(hidden) => format!("\\u{:04x}", u32::from(hidden)),
            // What has no width of its own joins its neighbour and can't be pointed at.
            thin if thin.width().unwrap_or(0) == 0 => format!("\\u{:04x}", u32::from(thin)),
            plain => plain.to_string(),
        };
        Cell { width: columns(&text), text, marked }
    });
    cells.collect()
}

/// Columns before a byte that may be the end of the line.
fn cells_before(line: &str, byte: usize, cells: &[Cell]) -> usize {
    let before = line.get(..byte).unwrap_or(line).chars().count();
    let skip = before.saturating_sub(LONGEST / 2);
    cells.iter().take(before - skip).map(|cell| cell.width).sum()
}

/// Takes as many cells as fit, so that the beginning of the underlined ones is among them.
fn cut(cells: &[Cell], underline: Range<usize>, width: usize) -> Shown {
    let total: usize = cells.iter().map(|cell| cell.width).sum();
    if total.max(underline.end) <= width {
        let text = cells.iter().map(|cell| cell.text.as_str()).collect::<String>();
        return Shown { text: text.trim_end().to_owned(), underline };
    }
    // Two columns are for the signs that something was cut.
    let room = width - 2;
    let wanted = underline.end.min(underline.start + room) - underline.start;
    let lead = (room - wanted) / 2;
    let from = underline.start.saturating_sub(lead).min(total.saturating_sub(room));
    let mut text = String::new();
    let (mut at, mut first, mut last) = (0, None, 0);
    for cell in cells {
        if at >= from && at + cell.width <= from + room {
            first.get_or_insert(at);
            text.push_str(&cell.text);
            last = at + cell.width;
        }
        at += cell.width;
    }
    let first = first.unwrap_or(from);
    let mut shift = 0;
    if first > 0 {
        text.insert(0, CUT);
        shift = 1;
    }
    if last < total {
        text.push(CUT);
    }
    let column = |column: usize| (column.max(first) - first + shift).min(width);
    let start = column(underline.start);
    Shown { text, underline: start..column(underline.end.min(first + room)).max(start + 1) }
}

/// Words of a text, in lines of at most so many columns; lines of the text stay lines.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(NARROWEST);
    let mut lines = Vec::new();
    for line in text.lines() {
        let line = plain(line);
        let mut current = String::new();
        let mut used = 0;
        for word in line.split(' ') {
            let length = columns(word);
            if used > 0 && used + 1 + length > width {
                lines.push(std::mem::take(&mut current));
                used = 0;
            }
            if used > 0 {
                current.push(' ');
                used += 1;
            }
            // A word that is wider than the terminal is broken: better than to let the terminal do it.
            for character in word.chars() {
                let columns = character.width().unwrap_or(0);
                if used + columns > width {
                    lines.push(std::mem::take(&mut current));
                    used = 0;
                }
                current.push(character);
                used += columns;
            }
        }
        lines.push(current);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_is_written_out_and_underlined() {
        let line = "e = [\"\u{200b}http://a\"]";
        let at = line.find('\u{200b}').unwrap();
        let shown = marked(line, &(at..at + 3), 80);
        assert_eq!((shown.text.as_str(), shown.underline), ("e = [\"\\u200bhttp://a\"]", 6..12));
        let shown = marked("e = [\" http\"]", &(6..7), 80);
        assert_eq!((shown.text.as_str(), shown.underline), ("e = [\"·http\"]", 6..7));
        assert_eq!(plain("a\u{1b}[31mb\r"), "a\\u001b[31mb\\r");
        assert_eq!(marked("", &(0..0), 80), Shown { text: String::new(), underline: 0..1 });
        assert_eq!(marked("äö", &(4..4), 80).underline, 2..3, "behind the end");
    }

    #[test]
    fn long_lines_are_cut_around_what_matters() {
        let line = format!("{}HERE{}", "a".repeat(300), "b".repeat(300));
        for width in [0, 10, 16, 20, 41, 80, 599, 604, 700] {
            let shown = marked(&line, &(300..304), width);
            let width = width.max(NARROWEST);
            assert!(columns(&shown.text) <= width, "{width}: {}", shown.text);
            let under: String = shown.text.chars().skip(shown.underline.start).take(shown.underline.len()).collect();
            assert_eq!(under, "HERE", "{width}: {}", shown.text);
        }
        let end = marked(&line, &(600..604), 40);
        assert!(end.text.starts_with('…') && end.text.ends_with("bbbb"), "{}", end.text);
        let wide = marked(&"字".repeat(100), &(30..33), 40);
        assert!(columns(&wide.text) <= 40 && wide.underline.len() == 2, "{wide:?}");
    }

    #[test]
    fn words_are_wrapped_and_never_lost() {
        assert_eq!(wrapped("one two three four five", 16), ["one two three", "four five"]);
        assert_eq!(wrapped("a\nb", 16), ["a", "b"]);
        let long = "x".repeat(40);
        assert_eq!(wrapped(&long, 16).concat(), long);
    }
}
