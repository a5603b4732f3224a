//! All connections of a PostgreSQL server are in use; who holds them, only its activity tells.

use std::collections::BTreeMap;

use crate::evidence::Evidence;
use crate::finding::{Fix, Place, Severity};
use crate::read::Message;
use crate::read::postgres::Postgres;
use crate::rule::{Findings, Rule};

pub const RULE: Rule = Rule {
    code: "SM0701",
    key: "pg-max-connections",
    title: "all connections of PostgreSQL are in use",
    severity: Severity::Error,
    page: include_str!("page.md"),
    check,
};

const FULL: [&str; 6] = [
    "sorry, too many clients already",
    "remaining connection slots are reserved",
    "too many connections for role",
    "too many connections for database",
    "53300",
    "too_many_connections",
];

fn check(evidence: &Evidence, findings: &mut Findings<'_>) {
    let read = evidence.read();
    let full = |message: &&Message| !message.over && FULL.iter().any(|words| message.text.contains(words));
    let messages: Vec<&Message> = read.messages.iter().filter(full).collect();
    let postgres = &read.postgres;
    let holders = holders(postgres);
    let total: u64 = holders.values().map(|holder| holder.count).sum();
    let limit = postgres.setting("max_connections");
    let reserved = postgres.setting("superuser_reserved_connections").unwrap_or(3)
        + postgres.setting("reserved_connections").unwrap_or(0);
    let exhausted = limit.is_some_and(|limit| total > 0 && total + reserved + 1 >= limit);
    if messages.is_empty() && !exhausted {
        return;
    }
    let top = holders.iter().max_by_key(|(_, holder)| holder.count).filter(|_| total > 0);
    let finding = match top {
        Some((name, holder)) => {
            let of = limit.map_or(format!("{total} connections"), |limit| format!("{limit} connections"));
            let idle = if holder.idle * 10 >= holder.count * 9 { ", nearly all idle" } else { "" };
            let cause = format!("{name} holds {} of {of}{idle}", holder.count);
            let place = Place::Service(format!("connection pool of {name}"));
            let finding = if exhausted { findings.proven(place, cause) } else { findings.likely(place, cause) };
            finding.quote(holder.item, holder.line)
        }
        None => findings
            .open(
                Place::Service("PostgreSQL (max_connections)".to_owned()),
                "all connections of the server are in use; the message names a victim, not who holds them",
            )
            .needs(&[
                "pg_stat_activity: connections by client_addr, application_name, usename and state",
                "max_connections and superuser_reserved_connections",
                "pool sizes and replicas of the applications",
            ]),
    };
    for message in messages {
        finding.message(message);
    }
    finding.fix(
        Fix::manual("limit the pool of the one who holds most, or put a pooler in front")
            .step("select client_addr, application_name, usename, state, count(*) from pg_stat_activity group by 1, 2, 3, 4 order by 5 desc;")
            .step("alter role NAME connection limit N;")
            .step("or raise max_connections (needs a restart and memory)"),
    );
}

/// What somebody holds.
#[derive(Default)]
struct Holder {
    count: u64,
    idle: u64,
    item: usize,
    line: u32,
}

/// Connections by application; by role or address where none is told.
fn holders(postgres: &Postgres) -> BTreeMap<String, Holder> {
    let mut holders: BTreeMap<String, Holder> = BTreeMap::new();
    let mut add = |name: &str, count: u64, state: &str, item: usize, line: u32| {
        let holder = holders.entry(name.to_owned()).or_insert(Holder { item, line, ..Holder::default() });
        holder.count += count;
        holder.idle += if state.starts_with("idle") { count } else { 0 };
    };
    let name = |names: [&str; 3]| names.into_iter().find(|name| !name.is_empty()).unwrap_or("local sessions").to_owned();
    for holding in &postgres.holdings {
        let name = name([&holding.application, &holding.user, &holding.client]);
        add(&name, holding.count, &holding.state, holding.item, holding.line);
    }
    if postgres.holdings.is_empty() {
        for backend in &postgres.backends {
            let client = backend.client.map(|client| client.to_string()).unwrap_or_default();
            add(&name([&backend.application, &backend.user, &client]), 1, &backend.state, backend.item, backend.line);
        }
    }
    holders
}
