//! pgpool itself has no child process left for another client.

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0702",
    key: "pgpool-children-exhausted",
    title: "all children of pgpool are in use",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let spoken = |text: &str| {
        // PostgreSQL writes "sorry" with a small letter.
        text.contains("Sorry, too many clients already")
            || text.contains("pool_max_connections") && text.contains("exceeded")
            || text.contains("pgpool") && text.contains("sorry, too many clients already")
    };
    let mut messages = evidence.read().messages.iter().filter(|message| !message.over && spoken(&message.text)).peekable();
    if messages.peek().is_none() {
        return;
    }
    let place = Place::Service("pgpool (num_init_children)".to_owned());
    let finding = findings.proven(place, "all children of pgpool are in use: pgpool refuses, not PostgreSQL");
    for message in messages {
        finding.message(message);
    }
    finding.weigh(1).fix(
        Fix::manual("let pgpool have more children, or shrink the pools of its clients")
            .step("show pool_processes;    # at pgpool: who holds the children")
            .step("num_init_children = …   # in pgpool.conf; needs a restart, and max_connections of PostgreSQL must allow it"),
    );
}
