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
    holdings(&mut text, &report.holders);
    pods(&mut text, &report.pods);
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

fn holdings(text: &mut String, holdings: &[Holding]) {
    let row = |holding: &Holding| {
        let count = |count: usize| if count == 0 { "-".to_owned() } else { count.to_string() };
        let [name, connections, idle, states] = cells(holding);
        vec![name, connections, count(holding.pods), count(holding.most_per_pod), idle, states]
    };
    let rows: Vec<Vec<String>> = holdings.iter().map(row).collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(&["HELD BY", "CONNECTIONS", "PODS", "MOST OF ONE POD", "LONGEST IDLE", "STATES"], &rows));
    }
}

fn pods(text: &mut String, holdings: &[Holding]) {
    let in_pods: Vec<&Holding> = holdings.iter().filter(|holding| holding.pods > 0).collect();
    let rows: Vec<Vec<String>> = in_pods.iter().take(PODS).map(|holding| cells(holding).to_vec()).collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(&["POD", "CONNECTIONS", "LONGEST IDLE", "STATES"], &rows));
    }
    if in_pods.len() > PODS {
        line(text, &format!("… and {} more pods: `-o csv` lists all", in_pods.len() - PODS));
    }
}

/// Name, connections, longest idle time, states.
fn cells(holding: &Holding) -> [String; 4] {
    let states: Vec<String> = holding.states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let idle = holding.longest_idle.map_or_else(|| "-".to_owned(), human_duration);
    [holding.holder.clone(), holding.connections.to_string(), idle, states.join(", ")]
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
