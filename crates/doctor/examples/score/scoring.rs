//! How well the rules answer labelled cases.

use std::fmt;

use serde::Deserialize;
use shipmate_doctor::text::Position;
use shipmate_doctor::{Certainty, Evidence, Finding, Place, Severity, examine, redact};

/// A case: the label, without its evidence.
#[derive(Deserialize)]
struct Case {
    id: String,
    cause: String,
    #[serde(default)]
    also_accept: Vec<String>,
    decidable: bool,
    #[serde(default)]
    needs: Vec<String>,
    #[serde(default)]
    family: String,
    #[serde(default)]
    subject: String,
}

/// Right answers, and how many there were to give.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Right answers; of healthy cases, false alarms.
    pub given: usize,
    /// Cases.
    pub of: usize,
}

impl Share {
    fn add(&mut self, given: bool) {
        self.of += 1;
        self.given += usize::from(given);
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.given, self.of)
    }
}

/// The score of a file of cases.
#[derive(Debug, Default)]
pub struct Score {
    /// Decidable cases whose cause was named first.
    pub decidable: Share,
    /// Undecidable cases whose candidates and needed evidence were named.
    pub undecidable: Share,
    /// Healthy cases in which something was found.
    pub alarms: Share,
    /// Cases that tell line and column, whose first finding points there.
    pub places: Share,
    /// What was answered wrongly, a line each.
    pub wrong: Vec<String>,
}

/// Scores a file: one case a line, its evidence in a bundle's form. Only these families, if any are named.
///
/// # Errors
/// When a line is no case.
pub fn score(text: &str, only: &[String]) -> Result<Score, String> {
    let mut score = Score::default();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |error: String| format!("line {}: {error}", number + 1);
        let case: Case = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        // The same way as `doctor --from`.
        let evidence = redact::evidence(Evidence::from_json(line).map_err(|error| wrong(error.to_string()))?);
        if only.is_empty() || only.contains(&case.family) {
            score.add(&case, &evidence);
        }
    }
    Ok(score)
}

impl Score {
    fn add(&mut self, case: &Case, evidence: &Evidence) {
        let findings = examine(evidence).findings;
        let first = findings.first();
        let healthy = case.cause == "none";
        let given = if healthy {
            findings.iter().any(|finding| finding.severity < Severity::Note)
        } else if case.decidable {
            first.is_some_and(|first| names(case, first.key))
        } else {
            first.is_some_and(|first| asks(case, first))
        };
        let share = match (healthy, case.decidable) {
            (true, _) => &mut self.alarms,
            (false, true) => &mut self.decidable,
            (false, false) => &mut self.undecidable,
        };
        share.add(given);
        if given == healthy {
            let said = findings.iter().take(3).map(|finding| format!("{} ({:?})", finding.key, finding.certainty));
            self.wrong.push(format!(
                "{} {}: expected {}{}, said {}",
                case.id,
                case.family,
                case.cause,
                if case.decidable { "" } else { " (open)" },
                said.collect::<Vec<_>>().join(", ")
            ));
        }
        if let (Some(wanted), true) = (position(&case.subject), case.decidable) {
            let at = first.and_then(|first| match &first.place {
                Place::Text { item, span } => Some(Position::of(&evidence.items().get(*item)?.text, span.start)),
                _ => None,
            });
            self.places.add(at == Some(wanted));
            if at != Some(wanted) {
                let found = at.map_or("nowhere".to_owned(), |at| format!("{}:{}", at.line, at.column));
                self.wrong
                    .push(format!("{} {}: expected `{}`, pointed at {found}", case.id, case.family, case.subject));
            }
        }
    }

    /// The line that sums it up.
    pub fn line(&self) -> String {
        let Self { decidable, undecidable, alarms, .. } = self;
        format!("decidable {decidable}, undecidable {undecidable}, false alarms {alarms}")
    }
}

/// `… line 12 column 22`.
fn position(subject: &str) -> Option<Position> {
    let (_, rest) = subject.split_once(" line ")?;
    let (line, column) = rest.split_once(" column ")?;
    let column: String = column.chars().take_while(char::is_ascii_digit).collect();
    Some(Position { line: line.trim().parse().ok()?, column: column.parse().ok()? })
}

fn names(case: &Case, key: &str) -> bool {
    case.cause == key || case.also_accept.iter().any(|other| other == key)
}

/// An undecidable case is answered by a question that has the cause among its candidates, and that names at least half
/// of the evidence that would decide.
fn asks(case: &Case, finding: &Finding) -> bool {
    let named = finding.candidates.iter().chain([&finding.key]).any(|key| case.cause == **key);
    let asked = case.needs.iter().filter(|need| finding.needs.iter().any(|ours| alike(need, ours))).count();
    finding.certainty == Certainty::Open && named && 2 * asked >= case.needs.len()
}

/// Whether two descriptions of evidence mean the same: they share two telling words, or the only one there is.
fn alike(theirs: &str, ours: &str) -> bool {
    let (theirs, ours) = (telling(theirs), telling(ours));
    let shared = theirs.iter().filter(|word| ours.contains(word)).count();
    shared >= 2.min(theirs.len()).max(1)
}

fn telling(text: &str) -> Vec<String> {
    const EMPTY: [&str; 24] = [
        "the", "of", "and", "or", "a", "an", "in", "on", "for", "that", "this", "is", "are", "its", "with", "from",
        "whether", "which", "to", "by", "at", "get", "kubectl", "node",
    ];
    let words = text.split(|character: char| !character.is_alphanumeric() && character != '_' && character != '.');
    let words = words.map(|word| word.trim_matches('.').to_lowercase());
    words.filter(|word| word.len() > 1 && !EMPTY.contains(&word.as_str())).collect()
}
