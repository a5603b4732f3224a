//! Scores the rules on a file of labelled cases: one JSON object a line, whose `evidence` is a bundle's.
//!
//! The last line is `decidable A/B, undecidable C/D, false alarms E/F`; `cargo xtask score FILE` calls this.

use std::process::ExitCode;

use serde::Deserialize;
use shipmate_doctor::{Certainty, Evidence, Finding, Severity, examine};

#[derive(Deserialize)]
struct Case {
    id: String,
    cause: String,
    also_accept: Vec<String>,
    decidable: bool,
    needs: Vec<String>,
    family: String,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, only @ ..] = arguments.as_slice() else {
        eprintln!("usage: score FILE [FAMILY…]");
        return ExitCode::from(2);
    };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("error: read `{path}`: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut score = Score::default();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let parsed = serde_json::from_str::<Case>(line).map_err(|error| error.to_string());
        let evidence = Evidence::from_json(line).map_err(|error| error.to_string());
        match (parsed, evidence) {
            (Ok(case), Ok(evidence)) if only.is_empty() || only.contains(&case.family) => score.add(&case, &evidence),
            (Ok(_), Ok(_)) => {}
            (Err(error), _) | (_, Err(error)) => {
                eprintln!("error: `{path}` line {}: {error}", number + 1);
                return ExitCode::FAILURE;
            }
        }
    }
    println!("{}", score.line());
    ExitCode::SUCCESS
}

#[derive(Default)]
struct Score {
    decidable: (usize, usize),
    undecidable: (usize, usize),
    alarms: (usize, usize),
}

impl Score {
    fn add(&mut self, case: &Case, evidence: &Evidence) {
        let findings = examine(evidence).findings;
        let (count, right) = if case.cause == "none" {
            let alarm = findings.iter().any(|finding| finding.severity < Severity::Note);
            (&mut self.alarms, alarm)
        } else if case.decidable {
            (&mut self.decidable, findings.first().is_some_and(|first| names(case, first.key)))
        } else {
            (&mut self.undecidable, findings.first().is_some_and(|first| asks(case, first)))
        };
        count.1 += 1;
        count.0 += usize::from(right);
        if right == (case.cause == "none") {
            let said: Vec<String> =
                findings.iter().take(3).map(|finding| format!("{} ({:?})", finding.key, finding.certainty)).collect();
            println!(
                "{} {}: expected {}{}, said {}",
                case.id,
                case.family,
                case.cause,
                if case.decidable { "" } else { " (open)" },
                said.join(", ")
            );
        }
    }

    fn line(&self) -> String {
        let Self { decidable, undecidable, alarms } = self;
        format!(
            "decidable {}/{}, undecidable {}/{}, false alarms {}/{}",
            decidable.0, decidable.1, undecidable.0, undecidable.1, alarms.0, alarms.1
        )
    }
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
