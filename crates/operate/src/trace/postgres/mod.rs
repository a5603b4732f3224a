//! What a PostgreSQL server tells of its connections: who, since when, in which state; and how many it takes.

mod dsn;
mod error;
mod session;

use std::collections::BTreeMap;
use std::net::IpAddr;

pub use dsn::{Dsn, DsnError, Surroundings};
pub use error::{PostgresError, Slots};
pub use session::Session;
pub(super) use session::{address, number, text};

/// Under which name we are seen.
pub const APPLICATION: &str = "shipmate trace";

/// A server, and what it told.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Its version.
    pub version: String,
    /// The address at which we reached it, as it sees it; none over a local socket.
    pub address: Option<IpAddr>,
    /// Addresses that the name means which we called it by.
    pub dialled: Vec<IpAddr>,
    /// The port on which it listens.
    pub port: u16,
    /// `max_connections`.
    pub max: u64,
    /// Slots that only superusers get.
    pub superuser_reserved: u64,
    /// Slots for roles that may use reserved ones (from version 16 on).
    pub reserved: u64,
    /// Its connections.
    pub backends: Vec<Backend>,
    /// Roles that may log in, by their limits.
    pub roles: Vec<Limit>,
    /// Databases, by their limits.
    pub databases: Vec<Limit>,
    /// Its own processes that take no slot (replication workers, parallel workers, autovacuum …), by what they are.
    pub others: BTreeMap<String, u64>,
    /// Whether replicas take slots of `max_connections`: before version 12.
    pub replicas_count: bool,
    /// By how many seconds its clock is ahead of this machine's.
    pub ahead: i64,
    /// Connections of which it tells us nothing, since they are other roles'.
    pub hidden: usize,
    /// As whom we are there.
    pub me: String,
}

/// A connection to the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backend {
    /// Its process.
    pub pid: i64,
    /// Its role.
    pub user: String,
    /// Its database; empty for a replica's.
    pub database: String,
    /// What the client calls itself.
    pub application: String,
    /// The client's address; none over a local socket, or if it is not told.
    pub client: Option<IpAddr>,
    /// The client's port.
    pub client_port: Option<u16>,
    /// When it began, in seconds since 1970.
    pub since: Option<i64>,
    /// `idle`, `active`, `idle in transaction`, …; empty when not told.
    pub state: String,
    /// For how many seconds it has been in this state.
    pub still: Option<i64>,
    /// Whether it is a replica's, which takes none of `max_connections`.
    pub replica: bool,
    /// Whether it is ours.
    pub own: bool,
    /// Whether the server tells us nothing of it.
    pub hidden: bool,
}

/// How many connections a role or database may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its name.
    pub name: String,
    /// Its name as SQL takes it, by the server's own list of reserved words.
    pub quoted: String,
    /// How many; none if there is no limit.
    pub most: Option<u64>,
    /// Whether the role is a superuser.
    pub superuser: bool,
}

impl Backend {
    /// When it began, by this machine's clock.
    pub fn began(&self, told: &Told) -> Option<i64> {
        Some(self.since? - told.ahead)
    }
}

/// A connection that is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Chosen {
    /// Its process.
    pub pid: i64,
    /// When it began, in seconds since 1970.
    pub since: i64,
}

/// What came of ending connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Those that are gone.
    pub gone: Vec<Chosen>,
    /// Those that had ended, or were at work again, before.
    pub left: Vec<Chosen>,
    /// Those that the server would not end, and its words.
    pub refused: Vec<(Chosen, String)>,
    /// Those that were told to end and are still there.
    pub slow: Vec<Chosen>,
}
