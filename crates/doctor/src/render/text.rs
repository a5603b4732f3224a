//! Reports for people, in the manner of a compiler: code and title, the place with its line, the cause, what proves it,
//! how it is mended.

use std::ops::Range;

use super::diff::{Edit, hunks};
use super::line::{self, around, columns, marked, plain, wrapped};
use super::paint::{Ink, Paint};
use super::proof::proofs;
use super::{Look, counted, place};
use crate::evidence::{Evidence, ItemKind};
use crate::examine::Report;
use crate::finding::{Applicability, Certainty, Finding, Fix, Place, Severity};
use crate::rules;
use crate::text::Position;

/// Quoted lines of one finding that are shown; all of them are in the JSON.
const QUOTES: usize = 6;
/// Lines that a quoted line takes up, at most.
const QUOTE_LINES: usize = 3;
/// Columns below which nothing is laid out: the terminal breaks what is longer.
const NARROWEST: usize = 30;

/// The report, worst first, with a line that sums it up.
pub fn text(evidence: &Evidence, report: &Report, look: Look) -> String {
    let page = Page { evidence, paint: Paint { colours: look.colours }, width: look.width.max(NARROWEST) };
    let mut text = String::new();
    for found in &report.findings {
        page.finding(&mut text, found);
        text.push('\n');
    }
    for (origin, reason) in &report.unchecked {
        let label = page.paint.ink(Ink::Warning, "not checked");
        let words = wrapped(&format!("{origin}: {reason}"), page.width - 13).join("\n             ");
        text.push_str(&format!("{label}: {words}\n"));
    }
    text.push_str(&page.summary(report));
    text
}

/// One finding, without the summary.
pub fn finding(evidence: &Evidence, found: &Finding, look: Look) -> String {
    let page = Page { evidence, paint: Paint { colours: look.colours }, width: look.width.max(NARROWEST) };
    let mut text = String::new();
    page.finding(&mut text, found);
    text
}

struct Page<'a> {
    evidence: &'a Evidence,
    paint: Paint,
    width: usize,
}

impl Page<'_> {
    fn summary(&self, report: &Report) -> String {
        let count = |severity| report.findings.iter().filter(|found| found.severity == severity).count();
        let mut parts = Vec::new();
        for (severity, word) in [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")] {
            match count(severity) {
                0 => {}
                number => parts.push(counted(number, word)),
            }
        }
        let wrong = report.findings.iter().any(|found| found.severity < Severity::Note);
        if !wrong {
            parts.insert(0, self.relief().to_owned());
        }
        let seen = self.evidence.items().iter().filter(|item| item.kind != ItemKind::Unavailable).count();
        let unchecked = match report.unchecked.len() {
            0 => String::new(),
            number => format!("; {} not checked", counted(number, "source")),
        };
        let s = if seen == 1 { "" } else { "s" };
        format!("{}: {seen} piece{s} of evidence looked at{unchecked}\n", parts.join(", "))
    }

    /// What no error and no warning means: of a text that nothing was recognised in, it means little.
    fn relief(&self) -> &'static str {
        let items = self.evidence.items();
        if !items.is_empty() && items.iter().all(|item| item.kind == ItemKind::Text) {
            "no fault is known that looks like this"
        } else {
            "nothing is wrong"
        }
    }

    fn finding(&self, out: &mut String, found: &Finding) {
        let (word, ink) = match found.severity {
            Severity::Error => ("error", Ink::Error),
            Severity::Warning => ("warning", Ink::Warning),
            Severity::Note => ("note", Ink::Note),
        };
        let head = self.paint.ink(ink, &format!("{word}[{}]", found.code));
        out.push_str(&format!("{head}{}\n", self.paint.ink(Ink::Title, &format!(": {}", plain(found.title)))));
        let gutter = self.gutter(found);
        let pad = " ".repeat(gutter);
        let at = plain(&place(self.evidence, &found.place));
        out.push_str(&format!("{pad}{} {at}\n", self.paint.ink(Ink::Frame, "-->")));
        let bar = format!("{pad} {}\n", self.paint.ink(Ink::Frame, "|"));
        if let Place::Text { item, span } = &found.place
            && let Some(item) = self.evidence.items().get(*item)
        {
            out.push_str(&bar);
            self.snippet(out, &item.text, span, gutter, ink);
        }
        out.push_str(&bar);
        self.words(out, found, gutter);
    }

    /// Width of the widest line number that is shown.
    fn gutter(&self, found: &Finding) -> usize {
        let mut last = 1;
        if let Place::Text { item, span } = &found.place
            && let Some(item) = self.evidence.items().get(*item)
        {
            last = Position::of(&item.text, span.start).line;
        }
        last.to_string().len().max(2)
    }

    /// The line, the line above it that says what it belongs to, and the underline.
    fn snippet(&self, out: &mut String, text: &str, span: &Range<usize>, gutter: usize, ink: Ink) {
        let position = Position::of(text, span.start);
        let start = offset_of(text, position.line);
        let whole = text[start..].split('\n').next().unwrap_or_default();
        let bar = self.paint.ink(Ink::Frame, "|");
        let room = self.width.saturating_sub(gutter + 4);
        if let Some(number) = context(text, position.line) {
            let line = text[offset_of(text, number)..].split('\n').next().unwrap_or_default();
            let label = self.paint.ink(Ink::Frame, &format!("{number:>gutter$}"));
            out.push_str(&format!("{label} {bar} {}\n", around(line, &(0..0), room)));
            if number + 1 < position.line {
                out.push_str(&self.paint.ink(Ink::Frame, "..."));
                out.push('\n');
            }
        }
        // What spans lines is underlined on its first one.
        let mark = clamped(whole, span.start - start..span.end.max(span.start) - start);
        let shown = marked(whole, &mark, room);
        let label = self.paint.ink(Ink::Frame, &format!("{:>gutter$}", position.line));
        out.push_str(&format!("{label} {bar} {}\n", shown.text).replace(" \n", "\n"));
        let under =
            format!("{}{}", " ".repeat(shown.underline.start), self.paint.ink(ink, &"^".repeat(shown.underline.len())));
        out.push_str(&format!("{} {bar} {under}\n", " ".repeat(gutter)));
    }

    fn words(&self, out: &mut String, found: &Finding, gutter: usize) {
        let cause = match found.certainty {
            Certainty::Proven => "cause",
            Certainty::Likely => "likely cause",
            Certainty::Open => "possible cause",
        };
        self.labelled(out, gutter, cause, &found.cause);
        self.quotes(out, found, gutter);
        for note in &found.notes {
            self.labelled(out, gutter, "note", note);
        }
        if found.certainty == Certainty::Open {
            for key in &found.candidates {
                let words = match rules::find(key) {
                    Some(rule) => format!("{} ({})", rule.title, rule.code),
                    None => key.replace('-', " "),
                };
                self.labelled(out, gutter, "or", &words);
            }
        }
        for need in &found.needs {
            self.labelled(out, gutter, "would decide", need);
        }
        for fix in &found.fixes {
            self.fix(out, gutter, fix);
        }
        self.labelled(out, gutter, "explain", &format!("shipmate explain {}", found.code));
    }

    fn labelled(&self, out: &mut String, gutter: usize, label: &str, words: &str) {
        let indent = gutter + 3 + columns(label) + 2;
        // On a narrow terminal, further lines begin further left.
        let hang = if self.width >= indent + 40 { indent } else { gutter + 5 };
        let room = self.width.saturating_sub(hang);
        let mut lines = wrapped(words, room).into_iter();
        let mut first = lines.next().unwrap_or_default();
        let mut rest: Vec<String> = lines.collect();
        if indent > hang && indent + columns(&first) > self.width {
            let again = format!("{first} {}", rest.join(" "));
            rest = wrapped(&again, room);
            first = String::new();
        }
        let sign = self.paint.ink(Ink::Frame, "=");
        let head = format!("{} {sign} {}: {first}", " ".repeat(gutter), self.paint.ink(Ink::Label, label));
        out.push_str(head.trim_end());
        out.push('\n');
        for line in rest {
            out.push_str(format!("{}{line}", " ".repeat(hang)).trim_end());
            out.push('\n');
        }
    }

    /// Lines that prove it, each with its origin; of lines that say the same, the first.
    fn quotes(&self, out: &mut String, found: &Finding, gutter: usize) {
        let indent = gutter + 5;
        let room = self.width.saturating_sub(indent + 2).max(line::NARROWEST);
        let mut shown: Vec<String> = Vec::new();
        let mut more = 0;
        for proof in proofs(self.evidence, found) {
            let line = proof.text.as_str();
            // Columns of a table are far apart; that takes room and tells nothing here.
            let blanks_only = line.split_whitespace().collect::<Vec<_>>().join(" ");
            let line = if columns(line) > room { blanks_only.as_str() } else { line };
            let words = around(line, &telling(line), room * QUOTE_LINES - 2 * QUOTE_LINES);
            let same = said(line);
            if shown.contains(&same) || shown.len() >= QUOTES {
                more += 1;
                continue;
            }
            shown.push(same);
            let line_number = proof.line.map(|line| format!(":{line}")).unwrap_or_default();
            self.labelled(out, gutter, "evidence", &format!("{}{line_number}", proof.origin));
            for part in wrapped(&words, room) {
                out.push_str(&format!("{}{} {part}\n", " ".repeat(indent), self.paint.ink(Ink::Frame, ">")));
            }
        }
        if more > 0 {
            let more = counted(more, "more line");
            self.labelled(out, gutter, "evidence", &format!("{more} of the kind; `-o json` has them all"));
        }
    }

    fn fix(&self, out: &mut String, gutter: usize, fix: &Fix) {
        let label = match fix.applicability {
            Applicability::Safe => "fix (safe)",
            Applicability::Review => "fix (review)",
            Applicability::Manual => "fix (manual)",
        };
        self.labelled(out, gutter, label, &fix.title);
        let indent = " ".repeat(gutter + 5);
        let mut items: Vec<usize> = fix.edits.iter().map(|edit| edit.item).collect();
        items.sort_unstable();
        items.dedup();
        for number in items {
            let Some(item) = self.evidence.items().get(number) else { continue };
            let edits: Vec<Edit<'_>> = fix
                .edits
                .iter()
                .filter(|edit| edit.item == number)
                .map(|edit| (edit.span.clone(), edit.new.as_str()))
                .collect();
            out.push_str(&self.changes(&item.text, &edits, &indent));
        }
        for patch in &fix.patches {
            let name = if patch.namespace.is_empty() {
                patch.name.clone()
            } else {
                format!("{}/{}", patch.namespace, patch.name)
            };
            let words = plain(&format!("{} {name}: {}", patch.kind, patch.patch));
            for line in wrapped(&words, self.width.saturating_sub(indent.len() + 2)) {
                out.push_str(&format!("{indent}{}\n", self.paint.ink(Ink::Added, &format!("+ {line}"))));
            }
        }
        if let Some(unit) = &fix.restart {
            out.push_str(&format!("{indent}then restart {unit}\n"));
        }
        // Steps are typed or pasted by people: they are never wrapped.
        for line in fix.steps.iter().flat_map(|step| step.lines()) {
            out.push_str(&format!("{indent}{}\n", plain(line)));
        }
    }

    /// Lines that go and come.
    fn changes(&self, text: &str, edits: &[Edit<'_>], indent: &str) -> String {
        let mut out = String::new();
        let hunks = hunks(text, edits);
        let last = hunks.iter().map(|hunk| hunk.line + hunk.old.len().max(hunk.new.len()).saturating_sub(1)).max();
        let digits = last.unwrap_or(1).to_string().len();
        for hunk in hunks {
            let room = self.width.saturating_sub(indent.len() + digits + 3);
            let sides = [(&hunk.old, &hunk.new, '-', Ink::Removed), (&hunk.new, &hunk.old, '+', Ink::Added)];
            for (lines, others, sign, ink) in sides {
                for (number, line) in lines.iter().enumerate() {
                    let differs = others.get(number).map_or(0..0, |other| difference(line, other));
                    let shown = format!("{:>digits$} {sign} {}", hunk.line + number, around(line, &differs, room));
                    out.push_str(&format!("{indent}{}\n", self.paint.ink(ink, shown.trim_end())));
                }
            }
        }
        out
    }
}

/// A change of a text as lines that go and come, for showing before it is made.
pub fn changes(text: &str, edits: &[Edit<'_>], look: Look) -> String {
    let evidence = Evidence::default();
    let page = Page { evidence: &evidence, paint: Paint { colours: look.colours }, width: look.width.max(NARROWEST) };
    page.changes(text, edits, "  ")
}

/// Where a line begins.
fn offset_of(text: &str, line: u32) -> usize {
    Position { line, column: 1 }.offset(text)
}

/// Bytes inside a line, at character boundaries.
fn clamped(line: &str, span: Range<usize>) -> Range<usize> {
    let inside = |mut at: usize| {
        at = at.min(line.len());
        while !line.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = inside(span.start);
    start..inside(span.end).max(start)
}

/// The line above that says what a line belongs to: a table's head, or the nearest line that is indented less.
fn context(text: &str, line: u32) -> Option<u32> {
    let lines: Vec<&str> = text.lines().take(line as usize).collect();
    let at = (line as usize).checked_sub(1)?;
    let own = lines.get(at)?;
    let indent = |line: &str| line.len() - line.trim_start().len();
    if own.trim_start().starts_with('[') {
        return None;
    }
    let above = lines[..at].iter().enumerate().rev().take(400);
    let wanted = above.filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let is_toml = lines.iter().any(|line| line.trim_start().starts_with('[') && line.trim_end().ends_with(']'));
    let mut wanted = wanted
        .filter(|(_, above)| if is_toml { above.trim_start().starts_with('[') } else { indent(above) < indent(own) });
    wanted.next().and_then(|(number, _)| u32::try_from(number + 1).ok())
}

/// The part of a line that tells most: the last word of failure in it, since causes stand behind their effects.
fn telling(line: &str) -> Range<usize> {
    const WORDS: [&str; 20] = [
        "x509",
        "refused",
        "denied",
        "forbidden",
        "unauthorized",
        "not found",
        "no such",
        "invalid",
        "cannot",
        "can't",
        "timeout",
        "deadline",
        "unknown",
        "unsupported",
        "not implemented",
        "failed",
        "error",
        "unable",
        "mismatch",
        "exceeded",
    ];
    // ASCII only, so that bytes stay where they are.
    let lower = line.to_ascii_lowercase();
    let last =
        WORDS.iter().filter_map(|word| lower.rfind(word).map(|at| at..at + word.len())).max_by_key(|at| at.start);
    last.unwrap_or(0..0)
}

/// What a line says, without what differs each time it is said: times, counters, quoting.
fn said(line: &str) -> String {
    let words: String = line.chars().filter(|character| character.is_alphabetic()).collect();
    // The beginning of a journal's line tells who and when, the rest what.
    let length = words.chars().count();
    words.chars().skip(length.saturating_sub(160)).collect()
}

/// The bytes of a line between what it has in common with another at both ends.
fn difference(line: &str, other: &str) -> Range<usize> {
    let same = |(a, b): &(char, char)| a == b;
    let head: usize = line.chars().zip(other.chars()).take_while(same).map(|(a, _)| a.len_utf8()).sum();
    let (rest, other_rest) = (&line[head..], &other[head..]);
    let tail: usize =
        rest.chars().rev().zip(other_rest.chars().rev()).take_while(same).map(|(a, _)| a.len_utf8()).sum();
    head..line.len() - tail
}
