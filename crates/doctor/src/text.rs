//! Places in texts, and texts that show what cannot be seen.

use serde::{Deserialize, Serialize};

/// A place in a text: line and column, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Position {
    /// The place of a byte offset; an offset behind the end or inside a character is moved back to one that is there.
    pub fn of(text: &str, offset: usize) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before[start..].chars().count() + 1;
        Self { line: u32::try_from(line).unwrap_or(u32::MAX), column: u32::try_from(column).unwrap_or(u32::MAX) }
    }

    /// The byte offset of this place, or the text's end when the text is shorter.
    pub fn offset(self, text: &str) -> usize {
        let mut start = 0;
        for _ in 1..self.line {
            match text[start..].find('\n') {
                Some(at) => start += at + 1,
                None => return text.len(),
            }
        }
        let line = text[start..].split('\n').next().unwrap_or_default();
        let within = line.char_indices().nth((self.column.max(1) - 1) as usize).map_or(line.len(), |(at, _)| at);
        start + within
    }
}

/// Whether a character takes no ink or looks like a plain blank, and so misleads who reads it.
pub fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{00a0}' | '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{1680}' | '\u{180e}' | '\u{2000}'..='\u{200f}'
            | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{feff}'
    ) || (character.is_control() && character != '\n')
}

/// The text with every character that can't be seen written out, as Go quotes it: `\u200b`, `\t`, `\r`.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => shown.push_str("\\t"),
            '\r' => shown.push_str("\\r"),
            '\n' => shown.push_str("\\n"),
            hidden if is_invisible(hidden) => {
                shown.push_str(&format!("\\u{:04x}", u32::from(hidden)));
            }
            plain => shown.push(plain),
        }
    }
    shown
}

/// Undoes Go's quoting inside a message that was printed with `%q`: `\"`, `\\`, `\t`, `\u200b`.
pub fn unquoted(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match rest.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some(width @ ('x' | 'u' | 'U')) => {
                let digits = match width {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let code: String = rest.by_ref().take(digits).collect();
                match u32::from_str_radix(&code, 16).ok().and_then(char::from_u32) {
                    Some(decoded) if code.len() == digits => plain.push(decoded),
                    _ => plain.extend(['\\', width].into_iter().chain(code.chars())),
                }
            }
            Some(other) => plain.push(other),
            None => plain.push('\\'),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_and_go_both_ways() {
        let text = "ä\nb\u{200b}c\n";
        let position = Position::of(text, text.find('c').unwrap());
        assert_eq!(position, Position { line: 2, column: 3 });
        assert_eq!(position.offset(text), text.find('c').unwrap());
        assert_eq!(Position { line: 9, column: 9 }.offset(text), text.len());
        assert_eq!(Position::of(text, 1).column, 1, "inside a character");
    }

    #[test]
    fn what_cannot_be_seen_is_written_out_and_read_back() {
        assert_eq!(visible("a\u{200b}b\tc"), "a\\u200bb\\tc");
        assert_eq!(unquoted(r#"parse \"a\u200b\tb\": \\"#), "parse \"a\u{200b}\tb\": \\");
        assert_eq!(unquoted(r"\u12"), r"\u12");
    }
}
