//! All rules over one evidence, and the order of what they find.

use crate::evidence::{Evidence, ItemKind};
use crate::finding::{Certainty, Finding};
use crate::rule::Findings;
use crate::rules;

/// What an examination found.
#[derive(Debug, Default)]
pub struct Report {
    /// Faults, worst and most certain first.
    pub findings: Vec<Finding>,
    /// Sources that could not be read: origin and reason.
    pub unchecked: Vec<(String, String)>,
}

/// Looks at the evidence with every rule.
pub fn examine(evidence: &Evidence) -> Report {
    let mut found = Vec::new();
    for rule in rules::all() {
        (rule.check)(evidence, &mut Findings::of(rule, &mut found));
    }
    let unchecked =
        evidence.of(ItemKind::Unavailable).map(|(_, item)| (item.origin.0.clone(), item.text.trim().to_owned()));
    Report { findings: weighed(found), unchecked: unchecked.collect() }
}

/// Sorts findings, and keeps for each message only its best explanations.
fn weighed(mut found: Vec<Finding>) -> Vec<Finding> {
    found.sort_by(|a, b| {
        let order = |finding: &Finding| (finding.severity, finding.certainty, -finding.weight);
        order(a).cmp(&order(b)).then_with(|| a.code.cmp(b.code))
    });
    let mut kept: Vec<Finding> = Vec::new();
    for finding in found {
        if let Some(better) = kept.iter_mut().find(|better| better.key == finding.key && better.place == finding.place)
        {
            better.explains.extend(finding.explains);
            continue;
        }
        match kept.iter_mut().find(|better| same_trouble(better, &finding)) {
            Some(better) if better.certainty == Certainty::Open && finding.certainty == Certainty::Open => {
                // Two questions about one message are one question.
                better.or(&[finding.key]);
                better.or(&finding.candidates);
                for need in finding.needs {
                    better.needs(&[need.as_str()]);
                }
            }
            Some(better) if finding.certainty > better.certainty || finding.weight < better.weight => {}
            _ => kept.push(finding),
        }
    }
    kept
}

/// Whether the better finding explains all that the other one explains.
fn same_trouble(better: &Finding, other: &Finding) -> bool {
    !other.explains.is_empty() && other.explains.iter().all(|message| better.explains.contains(message))
}
