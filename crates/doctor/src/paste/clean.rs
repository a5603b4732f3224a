//! What happens to a text between a terminal and here: colours, escapes, other encodings, lines that were cut.
//!
//! Only what no program prints is undone. Characters that may be the fault itself (a blank or a no-break space inside
//! quotes, a tab in YAML) stay.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::LazyLock;

use regex::Regex;

/// Why bytes are no text; the words go on from "it".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotText {
    /// Compressed.
    #[error("is compressed: unpack it first")]
    Compressed,
    /// An archive.
    #[error("is an archive: take the file out that matters")]
    Archive,
    /// Something else.
    #[error("is not text, but bytes for machines")]
    Bytes,
}

/// The text that bytes hold: UTF-8, UTF-16 as Windows writes it, or something near to UTF-8.
///
/// # Errors
/// When they are no text at all.
pub fn decoded(bytes: Vec<u8>) -> Result<String, NotText> {
    if let Some(wide) = wide(&bytes) {
        return Ok(wide);
    }
    const COMPRESSED: [&[u8]; 4] = [&[0x1f, 0x8b], b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh"];
    if COMPRESSED.iter().any(|magic| bytes.starts_with(magic)) {
        return Err(NotText::Compressed);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.get(257..262) == Some(b"ustar") {
        return Err(NotText::Archive);
    }
    let head = &bytes[..bytes.len().min(64 * 1024)];
    let strange = head.iter().filter(|byte| matches!(byte, 0..=6 | 14..=26 | 28..=31)).count();
    if strange * 50 > head.len() {
        return Err(NotText::Bytes);
    }
    Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// UTF-16, told by its mark, or by the zeros of its Latin letters.
fn wide(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(4096)];
    let zeros = |odd: usize| head.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count();
    let half = head.len() / 2;
    let big = match bytes {
        [0xff, 0xfe, ..] => false,
        [0xfe, 0xff, ..] => true,
        _ if half > 8 && zeros(1) * 10 > half * 7 && zeros(0) * 20 < half => false,
        _ if half > 8 && zeros(0) * 10 > half * 7 && zeros(1) * 20 < half => true,
        _ => return None,
    };
    let units = bytes.chunks_exact(2).map(|pair| {
        let pair = [pair[0], pair[1]];
        if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    });
    let text: String = char::decode_utf16(units).map(|one| one.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    Some(text.trim_start_matches('\u{feff}').to_owned())
}

/// Colours, titles of windows, and other orders to a terminal.
static ORDERS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)|\x1b[()*+][A-Za-z0-9]|\x1b[=>78cDEHM]")
        .ok()
});
static TAGS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)</?(?:html|body|pre|code|div|span|p|br)\b[^>\n]{0,200}>").ok());
/// A no-break space that lays out, beside another blank.
static LAYOUT: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new("(?m)[ \u{a0}]*\u{a0}[ \u{a0}]+|[ \u{a0}]+\u{a0}|^\u{a0}").ok());
/// Heads of tables with tabs.
static TABBED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\s*(?:Type|NAME|NAMESPACE|LAST SEEN)\t").ok());

/// Takes away what terminals, browsers and chats added.
pub fn cleaned(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    if text.contains('\u{1b}')
        && let Some(orders) = ORDERS.as_ref()
    {
        text = Cow::Owned(orders.replace_all(&text, "").into_owned());
    }
    if ["&quot;", "&#34;", "&#39;", "&apos;"].iter().any(|entity| text.contains(entity)) {
        text = Cow::Owned(without_markup(&text));
    }
    if text.lines().nth(1).is_none() && text.matches("\\n").nth(2).is_some() && !text.trim_start().starts_with('{') {
        let lines = text.trim().trim_matches('"').replace("\\n", "\n").replace("\\t", "\t").replace("\\\"", "\"");
        text = Cow::Owned(lines.replace("\\\\", "\\"));
    }
    if text.contains('\u{a0}')
        && let Some(layout) = LAYOUT.as_ref()
    {
        let blanks = |found: &regex::Captures<'_>| " ".repeat(found[0].chars().count());
        text = Cow::Owned(layout.replace_all(&text, blanks).into_owned());
    }
    // No program quotes like this; editors and chats do, and then everywhere.
    if !text.contains('"') && text.contains(['\u{201c}', '\u{201d}', '\u{201e}']) {
        text = Cow::Owned(text.replace(['\u{201c}', '\u{201d}', '\u{201e}'], "\""));
    }
    if text.contains('\t') && text.lines().any(|line| TABBED.as_ref().is_some_and(|head| head.is_match(line))) {
        text = Cow::Owned(untabbed(&text));
    }
    text
}

fn without_markup(text: &str) -> String {
    let plain = TAGS.as_ref().map_or(Cow::Borrowed(text), |tags| tags.replace_all(text, ""));
    let mut plain = plain.into_owned();
    // The ampersand comes last: what it makes is not read again.
    for (entity, character) in [
        ("&quot;", "\""),
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&apos;", "'"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ] {
        plain = plain.replace(entity, character);
    }
    plain
}

/// Tabs between the cells of tables become two blanks.
fn untabbed(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut table = false;
    for line in text.split_inclusive('\n') {
        let is_head = TABBED.as_ref().is_some_and(|head| head.is_match(line));
        table = is_head || (table && !line.trim().is_empty());
        if !table {
            plain.push_str(line);
            continue;
        }
        let cells: Vec<&str> = line.trim_end().split('\t').map(str::trim).filter(|cell| !cell.is_empty()).collect();
        plain.push_str("  ");
        plain.push_str(&cells.join("  "));
        plain.push('\n');
    }
    plain
}

/// Shorter lines are not cut by terminals.
const NARROW: usize = 60;

/// The text with lines joined that a terminal cut at its width; `None` when it does not look cut.
pub fn joined(text: &str) -> Option<String> {
    let width = |line: &str| line.trim_end_matches(['\r', '\n']).chars().count();
    let widest = text.lines().map(width).max().filter(|widest| *widest >= NARROW)?;
    // A cut falls in the midst of words, so some lines have all the width there is.
    let full = text.lines().filter(|line| width(line) == widest).count();
    if full < 2 {
        return None;
    }
    let mut whole = String::with_capacity(text.len());
    for line in text.lines() {
        whole.push_str(line);
        if width(line) != widest {
            whole.push('\n');
        }
    }
    Some(whole)
}

/// Longer texts are thinned.
const LONG: usize = 8 * 1024 * 1024;
/// So many lines that differ in numbers only stay, at the beginning and at the end.
const ALIKE: u32 = 20;

/// Leaves out lines of a very long log that were there often: the same words with other numbers. Says how many.
pub fn thinned(text: String) -> (String, u64) {
    if text.len() < LONG {
        return (text, 0);
    }
    let mut seen: HashMap<u64, (u32, u32)> = HashMap::new();
    for shape in text.split_inclusive('\n').filter_map(shape) {
        seen.entry(shape).or_default().0 += 1;
    }
    let mut kept = String::new();
    let mut left_out = 0;
    for line in text.split_inclusive('\n') {
        if let Some((all, before)) = shape(line).and_then(|shape| seen.get_mut(&shape)) {
            *before += 1;
            if *before > ALIKE && *before + ALIKE <= *all {
                left_out += 1;
                continue;
            }
        }
        kept.push_str(line);
    }
    (kept, left_out)
}

/// The words of a line of a log, without numbers and names that hold numbers.
fn shape(line: &str) -> Option<u64> {
    let stamped = line.as_bytes().iter().take(16).any(u8::is_ascii_digit) || line.starts_with(['{', 't']);
    if !stamped || line.starts_with([' ', '\t', '-', '#']) {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    for word in line.split(|one: char| !one.is_alphanumeric()).filter(|word| !word.is_empty()) {
        if !word.bytes().any(|byte| byte.is_ascii_digit()) {
            word.hash(&mut hasher);
        }
    }
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings() {
        let little: Vec<u8> = "Name: a\nb: c\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = "\u{feff}Name: a\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert_eq!(decoded(little).as_deref(), Ok("Name: a\nb: c\n"));
        assert_eq!(decoded(big).as_deref(), Ok("Name: a\n"));
        assert_eq!(decoded(b"ger\xe4t".to_vec()).as_deref(), Ok("ger\u{fffd}t"));
        assert_eq!(decoded(vec![0x1f, 0x8b, 8, 0]), Err(NotText::Compressed));
        assert_eq!(decoded(vec![0; 100]), Err(NotText::Bytes));
        assert_eq!(decoded(Vec::new()).as_deref(), Ok(""));
    }

    #[test]
    fn what_terminals_browsers_and_chats_add_goes() {
        assert_eq!(cleaned("\u{1b}]0;me\u{7}\u{1b}[1;31mFailed\u{1b}[m to"), "Failed to");
        assert_eq!(cleaned("<pre>image &quot;a&amp;b&quot;</pre>"), "image \"a&b\"");
        assert_eq!(cleaned("one\\ntwo \\\"x\\\"\\nthree\\n"), "one\ntwo \"x\"\nthree\n");
        assert_eq!(cleaned("a \u{201c}b\u{201d}"), "a \"b\"");
        assert_eq!(cleaned("NAME\tSTATUS\nw1\tReady\n"), "  NAME  STATUS\n  w1  Ready\n");
    }

    #[test]
    fn what_may_be_the_fault_stays() {
        for text in ["endpoint = [\"\u{a0}http://a\"]", "kind: Pod\nspec:\n\tcontainers:", "image: “a”\nb: \"c\""] {
            assert_eq!(cleaned(text), text);
        }
        assert_eq!(cleaned("\u{a0}\u{a0}Type\u{a0} Reason"), "  Type  Reason");
    }

    #[test]
    fn cut_lines_are_joined() {
        let long = "Failed to pull image: ".to_owned() + &"x".repeat(150);
        let cut: Vec<String> =
            long.as_bytes().chunks(70).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
        assert_eq!(joined(&cut.join("\n")).unwrap().trim_end(), long);
        assert_eq!(joined("short\nlines\n"), None);
    }

    #[test]
    fn long_logs_are_thinned_and_nothing_rare_is_lost() {
        let mut log: String =
            (0..200_000).map(|n| format!("Mar 14 08:22:10 n1 kubelet[1]: I0314 sync pod {n}-x\n")).collect();
        log.push_str("Mar 14 08:22:11 n1 kubelet[1]: E0314 the one that matters\n");
        let (thin, left_out) = thinned(log);
        assert_eq!((thin.lines().count(), left_out), (41, 199_960));
        assert!(thin.ends_with("the one that matters\n"));
    }
}
