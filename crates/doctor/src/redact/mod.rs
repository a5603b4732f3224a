//! Takes secrets out of evidence before anything keeps or shows it.
//!
//! What is taken: values of Secrets, tokens, passwords, private keys, credentials in URLs and headers, variables whose
//! names say that they are secret. What stays: names, hosts, certificates, and the claims of a token without its
//! signature, because rules look at them and nobody can use them to get in.
//!
//! Every rule here gives ranges of the text, so that a place in the redacted text can be found again in the file
//! ([`Redacted::original`]), and a text that is wrong in some way is treated like any other. Deliberately absent:
//! guesses by entropy; they would take image digests and identifiers, which rules need.

mod json;
mod lines;
mod words;

use std::ops::Range;

use crate::evidence::{Evidence, Item, ItemKind};

/// Why a pattern can't be refused.
const RIGHT: &str = "the pattern is fixed, and every test uses it";

/// What stands in a secret's place.
pub const REDACTED: &str = "REDACTED";

/// A text without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// The text.
    pub text: String,
    /// What was taken: bytes of the original, bytes of what stands there now. In order, without overlaps.
    taken: Vec<(Range<usize>, Range<usize>)>,
}

impl Redacted {
    /// The bytes of the original that these bytes stand for; `None` when a secret is among them.
    pub fn original(&self, span: &Range<usize>) -> Option<Range<usize>> {
        let shift = |at: usize| {
            let before = self.taken.iter().rfind(|(_, now)| now.end <= at);
            before.map_or(at, |(original, now)| original.end + (at - now.end))
        };
        let touches = |now: &Range<usize>| span.start < now.end && now.start < span.end;
        let inside = |now: &Range<usize>| span.is_empty() && now.start < span.start && span.start < now.end;
        if self.taken.iter().any(|(_, now)| touches(now) || inside(now)) {
            return None;
        }
        Some(shift(span.start)..shift(span.end))
    }
}

/// The evidence without secrets' values.
pub fn evidence(evidence: Evidence) -> Evidence {
    let target = evidence.target_minor();
    let items = evidence.into_items().into_iter().map(item);
    let redacted = Evidence::new(items.collect());
    match target {
        Some(minor) => redacted.for_minor(minor),
        None => redacted,
    }
}

/// One item without secrets' values.
pub fn item(item: Item) -> Item {
    let cuts = cuts(item.kind, &item.text);
    // Most texts have none, and some are large.
    let text = if cuts.0.is_empty() { item.text } else { cuts.apply(&item.text).text };
    Item { text, ..item }
}

/// One text without secrets' values. A text that has none stays as it is, byte by byte.
pub fn text(kind: ItemKind, text: &str) -> Redacted {
    cuts(kind, text).apply(text)
}

fn cuts(kind: ItemKind, text: &str) -> Cuts {
    let mut cuts = Cuts::default();
    words::find(kind, text, &mut cuts);
    // What is JSON from beginning to end is done with that; what only looks like it is read line by line as well.
    let is_json = text.trim_start().starts_with(['{', '[']) && json::find(text, &mut cuts);
    if !is_json {
        lines::find(kind, text, &mut cuts);
    }
    cuts
}

/// Ranges to be taken, and what is to stand there.
#[derive(Default)]
struct Cuts(Vec<(Range<usize>, String)>);

impl Cuts {
    /// Takes these bytes, unless a placeholder stands there already.
    fn take(&mut self, text: &str, span: Range<usize>) {
        self.replace(text, span, REDACTED.to_owned());
    }

    fn replace(&mut self, text: &str, span: Range<usize>, new: String) {
        let old = text.get(span.clone()).unwrap_or_default();
        let harmless = ["", REDACTED, "DATA+OMITTED", "null", "~", "<redacted>", "''", "\"\"", "{}", "|", ">", "|-"];
        let masked = old.chars().all(|character| "*x.<>•".contains(character));
        if !masked && !harmless.contains(&old) && old != new {
            self.0.push((span, new));
        }
    }

    fn apply(mut self, text: &str) -> Redacted {
        // Of overlapping ranges the one that begins first and is longest wins; what it does not cover of another one is
        // taken as well.
        self.0.sort_by_key(|(span, _)| (span.start, std::cmp::Reverse(span.end)));
        let mut merged: Vec<(Range<usize>, String)> = Vec::new();
        for (span, new) in self.0 {
            match merged.last_mut() {
                Some((last, words)) if span.start < last.end => {
                    if span.end > last.end {
                        last.end = span.end;
                        REDACTED.clone_into(words);
                    }
                }
                _ => merged.push((span, new)),
            }
        }
        let (mut redacted, mut taken, mut at) = (String::with_capacity(text.len()), Vec::new(), 0);
        for (span, new) in merged {
            redacted.push_str(&text[at..span.start]);
            let start = redacted.len();
            redacted.push_str(&new);
            at = span.end;
            taken.push((span, start..redacted.len()));
        }
        redacted.push_str(&text[at..]);
        Redacted { text: redacted, taken }
    }
}

/// Whether a variable or a key with this name holds a secret.
pub fn is_secret_name(name: &str) -> bool {
    const PARTS: [&str; 13] = [
        "pass",
        "pwd",
        "secret",
        "token",
        "key",
        "cred",
        "auth",
        "private",
        "salt",
        "dsn",
        "cookie",
        "signature",
        "webhook",
    ];
    let lower = name.to_ascii_lowercase();
    PARTS.iter().any(|part| lower.contains(part))
}

#[cfg(test)]
mod tests;
