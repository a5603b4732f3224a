//! What a PostgreSQL server tells of its connections: who, since when, in which state; and how many it takes.
//!
//! One connection, some questions, each with a limit. Answers are taken as text: versions differ in types and columns.

mod dsn;

use std::net::IpAddr;
use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use dsn::{Dsn, DsnError, Surroundings};

/// How long connecting may take, and each question.
const LIMIT: Duration = Duration::from_secs(10);
/// Under which name we are seen.
pub const APPLICATION: &str = "shipmate trace";

const SERVER: &str = "select host(inet_server_addr()) as address, inet_server_port() as port, \
    current_setting('server_version') as version, current_setting('port') as listening, current_user as me, \
    (select rolsuper from pg_roles where rolname = current_user) as super";
const SETTINGS: &str = "select name, setting from pg_settings where name in \
    ('max_connections', 'superuser_reserved_connections', 'reserved_connections')";
// Of other roles' processes little is told; those of the server's own have no database then.
const BACKENDS: &str = "select pid, usename, datname, application_name, host(client_addr) as client, client_port, \
    floor(extract(epoch from backend_start))::bigint as since, state, \
    case when state_change is not null then greatest(0, extract(epoch from now() - state_change)::bigint) end as still, \
    backend_type, pid = pg_backend_pid() as own from pg_stat_activity \
    where backend_type in ('client backend', 'walsender') \
    or (backend_type is null and usename is not null and datid is not null) \
    order by backend_start";
const ROLES: &str = "select rolname as name, rolconnlimit as most, rolsuper as super from pg_roles where rolcanlogin";
const DATABASES: &str = "select datname as name, datconnlimit as most, false as super from pg_database";

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
    /// How many; none if there is no limit.
    pub most: Option<u64>,
    /// Whether the role is a superuser.
    pub superuser: bool,
}

/// A connection that is to be ended.
#[derive(Clone, Copy, Debug)]
pub struct Chosen {
    /// Its process.
    pub pid: i64,
    /// When it began, in seconds since 1970.
    pub since: i64,
}

/// Why a server can't be asked.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The way there makes no sense.
    #[error(transparent)]
    Dsn(#[from] DsnError),
    /// There is no TLS.
    #[error("TLS for PostgreSQL can't be set up: {0}")]
    Tls(String),
    /// It wants a password, and there is none.
    #[error(
        "PostgreSQL at {0} wants a password: set PGPASSWORD or PGPASSFILE, or put it into ~/.pgpass (mode 0600) or a --dsn-file"
    )]
    NoPassword(String),
    /// All its slots are taken.
    #[error(
        "PostgreSQL at {place} takes no more connections ({why}): a superuser, or a role with pg_use_reserved_connections, still gets in"
    )]
    Full {
        /// Where.
        place: String,
        /// Its own words.
        why: String,
    },
    /// It can't be reached, or refuses.
    #[error("PostgreSQL at {place} can't be asked: {why}")]
    Refused {
        /// Where.
        place: String,
        /// Its own words.
        why: String,
    },
    /// It takes too long.
    #[error("PostgreSQL at {place} did not answer within {} s", LIMIT.as_secs())]
    TooSlow {
        /// Where.
        place: String,
    },
}

/// A connection to a server.
pub struct Session {
    client: Client,
    place: String,
    dialled: Vec<IpAddr>,
    /// Ends with the session.
    driver: tokio::task::JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// When that is not possible; [`PostgresError::NoPassword`] where a password would do.
    pub async fn open(dsn: &Dsn) -> Result<Self, PostgresError> {
        let place = dsn.place();
        let tls = MakeRustlsConnect::new(dsn.trust()?.client().map_err(PostgresError::Tls)?);
        let mut config = dsn.config.clone();
        config.application_name(APPLICATION).connect_timeout(LIMIT);
        let connected = tokio::time::timeout(LIMIT, config.connect(tls)).await;
        let connected = connected.map_err(|_| PostgresError::TooSlow { place: place.clone() })?;
        let (client, connection) = connected.map_err(|error| failed(&place, &error))?;
        // What goes wrong with it, the next question learns.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { client, place, dialled: dsn.addresses().await, driver })
    }

    /// All that the server tells of connections.
    ///
    /// # Errors
    /// When it does not answer, or not in time.
    pub async fn ask(&self) -> Result<Told, PostgresError> {
        let mut told = Told { dialled: self.dialled.clone(), ..Told::default() };
        for row in self.rows(SERVER).await? {
            told.version = text(&row, "version");
            told.address = row.get("address").and_then(|address| address.parse().ok());
            // Over a local socket there is no server port, but the one of the setting.
            told.port = number(&row, "port").or_else(|| number(&row, "listening")).unwrap_or_default();
            told.me = text(&row, "me");
        }
        for row in self.rows(SETTINGS).await? {
            let value = number(&row, "setting").unwrap_or_default();
            match row.get("name") {
                Some("max_connections") => told.max = value,
                Some("superuser_reserved_connections") => told.superuser_reserved = value,
                Some("reserved_connections") => told.reserved = value,
                _ => {}
            }
        }
        told.backends = self.rows(BACKENDS).await?.iter().map(backend).collect();
        told.hidden = told.backends.iter().filter(|backend| backend.hidden).count();
        told.roles = self.rows(ROLES).await?.iter().map(limit).collect();
        told.databases = self.rows(DATABASES).await?.iter().map(limit).collect();
        Ok(told)
    }

    /// Ends connections; the processes that it ended. What has ended meanwhile, or with `idle_only` works again, is left
    /// alone.
    ///
    /// # Errors
    /// When the server refuses, or does not answer in time.
    pub async fn terminate(&self, chosen: &[Chosen], idle_only: bool) -> Result<Vec<i64>, PostgresError> {
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        // Only numbers come in, so nothing has to be quoted. `case` keeps the order: looked at first, then ended.
        let listed: Vec<String> = chosen.iter().map(|one| format!("({},{})", one.pid, one.since)).collect();
        let idle = if idle_only { " and state like 'idle%'" } else { "" };
        let question = format!(
            "select pid from pg_stat_activity where case when \
             (pid, floor(extract(epoch from backend_start))::bigint) in ({}){idle} \
             then pg_terminate_backend(pid) else false end",
            listed.join(",")
        );
        Ok(self.rows(&question).await?.iter().filter_map(|row| number(row, "pid")).collect())
    }

    async fn rows(&self, question: &str) -> Result<Vec<SimpleQueryRow>, PostgresError> {
        let answer = tokio::time::timeout(LIMIT, self.client.simple_query(question)).await;
        let answer = answer.map_err(|_| PostgresError::TooSlow { place: self.place.clone() })?;
        let messages = answer.map_err(|error| failed(&self.place, &error))?;
        let row = |message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        };
        Ok(messages.into_iter().filter_map(row).collect())
    }
}

fn failed(place: &str, error: &tokio_postgres::Error) -> PostgresError {
    let place = place.to_owned();
    let why = match error.as_db_error() {
        Some(told) => told.message().to_owned(),
        None => {
            std::error::Error::source(error).map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
        }
    };
    match error.code() {
        Some(&SqlState::TOO_MANY_CONNECTIONS) => PostgresError::Full { place, why },
        None if why.contains("password missing") => PostgresError::NoPassword(place),
        _ => PostgresError::Refused { place, why },
    }
}

fn text(row: &SimpleQueryRow, name: &str) -> String {
    row.get(name).unwrap_or_default().to_owned()
}

fn number<T: std::str::FromStr>(row: &SimpleQueryRow, name: &str) -> Option<T> {
    row.get(name).and_then(|text| text.parse().ok())
}

fn backend(row: &SimpleQueryRow) -> Backend {
    let hidden = row.get("backend_type").is_none();
    Backend {
        pid: number(row, "pid").unwrap_or_default(),
        user: text(row, "usename"),
        database: text(row, "datname"),
        application: text(row, "application_name"),
        client: row.get("client").and_then(|address| address.parse().ok()),
        // A local socket has the port -1.
        client_port: number(row, "client_port"),
        since: number(row, "since"),
        state: text(row, "state"),
        still: number(row, "still"),
        replica: row.get("backend_type") == Some("walsender"),
        own: row.get("own") == Some("t"),
        hidden,
    }
}

fn limit(row: &SimpleQueryRow) -> Limit {
    Limit {
        name: text(row, "name"),
        // -1 is "no limit"; -2 is a database that is not valid.
        most: number(row, "most"),
        superuser: row.get("super") == Some("t"),
    }
}
