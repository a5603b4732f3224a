//! Which limits would fit: for the server, for roles, for databases.

use serde::Serialize;

use super::Traced;
use super::capacity::{Capacity, Growth, grown};
use crate::trace::postgres::Told;

/// What a limit leaves free: one in so many.
const HEADROOM: u64 = 5;
/// A role gets a limit of its own proposed when it has one in so many of all slots.
const LARGE: u64 = 5;
/// PostgreSQL takes no larger `max_connections`.
const MOST: u64 = 262_143;
/// Beyond this, a pooler is cheaper than a process for each client.
const MANY: u64 = 1000;

/// A limit that would fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// The statement.
    pub statement: String,
    /// Why this figure.
    pub arithmetic: String,
}

/// All proposals: the server's first, since the others count on it.
pub(super) fn proposals(all: &[Traced], told: &Told, growing: &[Growth], capacity: &Capacity) -> Vec<Proposal> {
    let own: Vec<&Traced> = all.iter().filter(|one| one.slot).collect();
    let expected = grown(&own, growing);
    let mut proposals = Vec::new();
    let max = match for_server(expected, growing, capacity) {
        Some((max, proposal)) => {
            proposals.push(proposal);
            max
        }
        None => capacity.max,
    };
    let ordinary = max.saturating_sub(capacity.reserved);
    for role in told.roles.iter().filter(|role| !role.superuser) {
        let own: Vec<&Traced> = own.iter().copied().filter(|one| one.user == role.name).collect();
        let now = own.len() as u64;
        // A limit that is too low is worth a word, however few they are.
        let too_low = role.most.is_some_and(|most| most < grown(&own, growing));
        if now.saturating_mul(LARGE) < capacity.max && !too_low {
            continue;
        }
        let sum = Sum { then: grown(&own, growing), expected, ordinary, grows: !growing.is_empty() };
        let subject = format!("ALTER ROLE {}", role.quoted);
        proposals.extend(sum.proposal(&subject, role.most));
    }
    for database in &told.databases {
        let own: Vec<&Traced> = own.iter().copied().filter(|one| one.database == database.name).collect();
        let then = grown(&own, growing);
        if database.most.is_some_and(|most| most < then) {
            let sum = Sum { then, expected, ordinary, grows: !growing.is_empty() };
            proposals.extend(sum.proposal(&format!("ALTER DATABASE {}", database.quoted), database.most));
        }
    }
    proposals
}

fn for_server(expected: u64, growing: &[Growth], capacity: &Capacity) -> Option<(u64, Proposal)> {
    let spare = expected.div_ceil(HEADROOM);
    let needed = expected.saturating_add(spare).saturating_add(capacity.reserved);
    if needed <= capacity.max {
        return None;
    }
    let max = needed.checked_next_multiple_of(10).unwrap_or(MOST).min(MOST);
    let source = if growing.is_empty() { "now" } else { "when all that grows is at its maximum" };
    let pooler = if max > MANY { "; that is many processes: a pooler takes fewer" } else { "" };
    let limit = if max < needed { format!(", and {MOST} is the most that PostgreSQL takes") } else { String::new() };
    let proposal = Proposal {
        statement: format!("ALTER SYSTEM SET max_connections = {max};  -- needs a restart, and memory for each"),
        arithmetic: format!(
            "{expected} {source} + {spare} (a fifth) to spare + {} reserved = {needed}, rounded up{limit}; it is {} now{pooler}",
            capacity.reserved, capacity.max
        ),
    };
    Some((max, proposal))
}

/// What a limit of some connections is made of.
struct Sum {
    /// What they come to.
    then: u64,
    /// What all come to.
    expected: u64,
    /// Slots for ordinary roles.
    ordinary: u64,
    /// Whether anything grows.
    grows: bool,
}

impl Sum {
    fn proposal(&self, subject: &str, most: Option<u64>) -> Option<Proposal> {
        let Self { then, expected, ordinary, grows } = *self;
        let spare = then.div_ceil(HEADROOM);
        let wanted = then.saturating_add(spare);
        let others = expected.saturating_sub(then);
        let kept = others.div_ceil(HEADROOM);
        let room = ordinary.saturating_sub(others.saturating_add(kept));
        let limit = wanted.min(room);
        if limit == 0 || most == Some(limit) {
            return None;
        }
        let grown = if grows { "when all that grows is at its maximum" } else { "now" };
        let least = if wanted > room { "what others leave counts: " } else { "" };
        Some(Proposal {
            statement: format!("{subject} CONNECTION LIMIT {limit};"),
            arithmetic: format!(
                "{least}{then} {grown} + {spare} (a fifth) to spare = {wanted}; others leave {ordinary} - {others} - {kept} (a fifth of theirs) = {room}"
            ),
        })
    }
}
