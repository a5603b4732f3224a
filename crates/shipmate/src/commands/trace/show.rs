//! A report for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use api::age::human_duration;
use operate::trace::report::{Holding, Report};
use operate::trace::who::Who;

use crate::output::table;

/// Pods that are listed, at most: the rest is in `-o json` and `-o csv`.
const PODS: usize = 40;

pub(super) fn text(report: &Report) -> String {
    let capacity = &report.capacity;
    let mut text = format!(
        "{}: {} of {} connections ({} for ordinary roles, {} reserved)\n",
        report.server, capacity.used, capacity.max, capacity.ordinary, capacity.reserved
    );
    let states: Vec<String> = capacity.states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    line(&mut text, &format!("  {}", states.join(", ")));
    for limit in &capacity.limits {
        line(&mut text, &format!("  {} {}: {} of {}", limit.of, limit.name, limit.used, limit.most));
    }
    holdings(&mut text, "HELD BY", &report.holders);
    let in_pods: Vec<Holding> = report.pods.iter().filter(|holding| holding.pods > 0).take(PODS).cloned().collect();
    holdings(&mut text, "POD", &in_pods);
    let more = report.pods.iter().filter(|holding| holding.pods > 0).count() - in_pods.len();
    if more > 0 {
        line(&mut text, &format!("… and {more} more pods: `-o csv` lists all"));
    }
    unknown(&mut text, report);
    if let Some(projection) = &report.projection {
        let verdict = if projection.too_many { "too many" } else { "they fit" };
        line(&mut text, &format!("\nWith every autoscaler at its maximum: {} ({verdict})", projection.arithmetic));
    }
    if !report.proposals.is_empty() {
        text.push_str("\nLimits that would fit:\n");
        for proposal in &report.proposals {
            line(&mut text, &format!("  {}\n    {}", proposal.statement, proposal.arithmetic));
        }
    }
    for note in &report.notes {
        line(&mut text, &format!("\nnote: {note}"));
    }
    text
}

fn line(text: &mut String, words: &str) {
    // Writing to a string can't fail.
    let _ = writeln!(text, "{words}");
}

fn holdings(text: &mut String, title: &str, holdings: &[Holding]) {
    if holdings.is_empty() {
        return;
    }
    let row = |holding: &Holding| {
        let count = |count: usize| if count == 0 { "-".to_owned() } else { count.to_string() };
        let states: Vec<String> = holding.states.iter().map(|(state, count)| format!("{count} {state}")).collect();
        vec![
            holding.holder.clone(),
            count(holding.pods),
            holding.connections.to_string(),
            count(holding.most_per_pod),
            holding.longest_idle.map_or_else(|| "-".to_owned(), human_duration),
            states.join(", "),
        ]
    };
    let rows: Vec<Vec<String>> = holdings.iter().map(row).collect();
    text.push('\n');
    text.push_str(&table(&[title, "PODS", "CONNECTIONS", "MOST OF ONE POD", "LONGEST IDLE", "STATES"], &rows));
}

/// Why some have no name.
fn unknown(text: &mut String, report: &Report) {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for traced in &report.connections {
        if let Who::Unknown { reason } = &traced.holder {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    if !reasons.is_empty() {
        text.push_str("\nNot known:\n");
    }
    for (reason, count) in reasons {
        line(text, &format!("  {count}: {reason}"));
    }
}
