//! A report for people.

use std::collections::{BTreeMap, BTreeSet};

use api::age::human_duration;
use doctor::text::visible;
use operate::trace::pooler::Behind;
use operate::trace::report::{Holding, Report, Traced, holder};
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
        let then = if limit.then > limit.used {
            format!(", {} when all that grows is at its maximum", limit.then)
        } else {
            String::new()
        };
        line(&mut text, &format!("  {} {}: {} of {}{then}", limit.of, limit.name, limit.used, limit.most));
    }
    if !capacity.others.is_empty() {
        let others: Vec<String> = capacity.others.iter().map(|(what, count)| format!("{count} {what}")).collect();
        line(&mut text, &format!("  without a slot: {}", others.join(", ")));
    }
    holdings(&mut text, &report.holders);
    pods(&mut text, &report.pods);
    poolers(&mut text, report);
    short(&mut text, &report.short);
    unknown(&mut text, report);
    if let Some(projection) = &report.projection {
        let verdict = if projection.too_many { "too many" } else { "they fit" };
        line(
            &mut text,
            &format!("\nWith every autoscaler and pooler at its maximum: {} ({verdict})", projection.arithmetic),
        );
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

/// Names come from a server and from processes, and may hold anything.
fn line(text: &mut String, words: &str) {
    for words in words.split('\n') {
        text.push_str(&visible(words));
        text.push('\n');
    }
}

/// Who is behind the poolers whose consoles were asked.
fn poolers(text: &mut String, report: &Report) {
    for pooled in &report.poolers {
        line(text, &format!("\nBehind the pooler at {}:", pooled.pooler));
        for pool in &pooled.pools {
            let mut words = format!(
                "  pool {}/{} ({}): {} clients, {} waiting; {} of at most {} connections",
                pool.database, pool.user, pool.mode, pool.clients, pool.waiting, pool.servers, pool.size
            );
            if pool.waiting > 0 {
                words.push_str(&format!("; the first has waited for {} s", pool.longest_wait));
            }
            line(text, &words);
        }
        let rows: Vec<Vec<String>> = pooled.clients.iter().map(|one| cells(one).to_vec()).collect();
        if !rows.is_empty() {
            text.push_str(&table(&["CLIENT", "CONNECTIONS", "LONGEST IDLE", "STATES"], &rows));
        }
    }
    let linked = report.connections.iter().filter_map(|one| Some((one, one.behind.as_ref()?)));
    let row = |(one, behind): (&Traced, &Behind)| {
        let who = match &behind.client {
            Some(client) => who(client),
            None if behind.candidates.is_empty() => "nobody: it is idle in its pool".to_owned(),
            None => {
                let all: Vec<String> =
                    behind.candidates.iter().map(|(who, count)| format!("{count} of {who}")).collect();
                format!("nobody now; clients of the pool: {}", all.join(", "))
            }
        };
        [one.pid.to_string(), behind.pool.clone(), who].iter().map(|cell| visible(cell)).collect()
    };
    let rows: Vec<Vec<String>> = linked.map(row).take(PODS).collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(&["PID", "POOL", "USED BY"], &rows));
    }
}

fn who(client: &Who) -> String {
    match client {
        Who::Pod { namespace, pod, .. } => format!("{namespace}/{pod}"),
        other => holder(other),
    }
}

/// What came and went between two looks.
fn short(text: &mut String, holdings: &[Holding]) {
    let rows: Vec<Vec<String>> =
        holdings.iter().map(|one| vec![visible(&one.holder), one.connections.to_string()]).collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(&["BEGAN AND ENDED SINCE THE LAST LOOK", "CONNECTIONS"], &rows));
    }
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
    [visible(&holding.holder), holding.connections.to_string(), idle, visible(&states.join(", "))]
}

/// Why some have no name.
fn unknown(text: &mut String, report: &Report) {
    let mut reasons: BTreeMap<&str, (usize, BTreeSet<&str>)> = BTreeMap::new();
    for traced in &report.connections {
        if let Who::Unknown { reason, candidates } = &traced.holder {
            let (count, all) = reasons.entry(reason.as_str()).or_default();
            *count += 1;
            all.extend(candidates.iter().map(String::as_str));
        }
    }
    if !reasons.is_empty() {
        text.push_str("\nNot known:\n");
    }
    for (reason, (count, candidates)) in reasons {
        line(text, &format!("  {count}: {reason}"));
        for candidate in candidates {
            line(text, &format!("      {candidate}"));
        }
    }
}
