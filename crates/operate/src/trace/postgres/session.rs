//! One connection to a server, some questions, each with a limit. Answers are taken as text: versions differ in types and
//! columns.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{APPLICATION, Backend, Chosen, Dsn, Ended, Limit, PostgresError, Told};

/// How long connecting may take, and each question.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// A slot may become free, also for a superuser: how often that is tried, and after which time.
const TRIES: usize = 4;
const AGAIN: Duration = Duration::from_millis(250);
/// How long connections may take to end, and how often that is looked at.
const ENDING: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(100);
/// The first version whose `pg_stat_activity` tells what a process is.
const OLDEST: u64 = 100_000;
/// From here on, replicas have slots of their own.
const OWN_SLOTS: u64 = 120_000;

const VERSION: &str =
    "select current_setting('server_version_num') as number, current_setting('server_version') as name";
const SERVER: &str = "select host(inet_server_addr()) as address, inet_server_port() as port, \
    current_setting('port') as listening, current_user as me, \
    floor(extract(epoch from clock_timestamp()) * 1000)::bigint as now";
const SETTINGS: &str = "select name, setting from pg_settings where name in \
    ('max_connections', 'superuser_reserved_connections', 'reserved_connections')";
// Of other roles' processes little is told; those of the server's own have no database then.
const BACKENDS: &str = "select pid, usename, datname, application_name, host(client_addr) as client, client_port, \
    floor(extract(epoch from backend_start))::bigint as since, state, \
    case when state_change is not null then greatest(0, floor(extract(epoch from now() - state_change)))::bigint end as still, \
    backend_type, pid = pg_backend_pid() as own from pg_stat_activity \
    where backend_type in ('client backend', 'walsender') \
    or (backend_type is null and usename is not null and datid is not null) \
    order by backend_start";
const OTHERS: &str = "select backend_type as name, count(*) as count from pg_stat_activity \
    where backend_type is not null and backend_type <> 'client backend' group by 1";
const ROLES: &str = "select rolname as name, quote_ident(rolname) as quoted, rolconnlimit as most, rolsuper as super \
    from pg_roles where rolcanlogin";
const DATABASES: &str = "select datname as name, quote_ident(datname) as quoted, datconnlimit as most, false as super \
    from pg_database";

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
        for _ in 1..TRIES {
            match Self::once(dsn).await {
                Err(error) if error.is_passing() => tokio::time::sleep(AGAIN).await,
                ended => return ended,
            }
        }
        Self::once(dsn).await
    }

    async fn once(dsn: &Dsn) -> Result<Self, PostgresError> {
        let place = dsn.place();
        let tls = MakeRustlsConnect::new(dsn.trust()?.client().map_err(PostgresError::Tls)?);
        let mut config = dsn.config.clone();
        config.application_name(APPLICATION).connect_timeout(LIMIT);
        let connected = tokio::time::timeout(LIMIT, config.connect(tls)).await;
        let connected = connected.map_err(|_| PostgresError::TooSlow { place: place.clone() })?;
        let (client, connection) = connected.map_err(|error| PostgresError::of(&place, &error))?;
        // What goes wrong with it, the next question learns.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { client, place, dialled: dsn.addresses().await, driver })
    }

    /// All that the server tells of connections.
    ///
    /// # Errors
    /// When it is too old, does not answer, or not in time.
    pub async fn ask(&self) -> Result<Told, PostgresError> {
        let mut told = Told { dialled: self.dialled.clone(), ..Told::default() };
        for row in self.rows(VERSION).await? {
            told.version = text(&row, "name");
            let version: u64 = number(&row, "number").unwrap_or_default();
            if version < OLDEST {
                return Err(PostgresError::Old { place: self.place.clone(), version: told.version });
            }
            told.replicas_count = version < OWN_SLOTS;
        }
        let asked = jiff::Timestamp::now().as_millisecond();
        for row in self.rows(SERVER).await? {
            let here = i64::midpoint(asked, jiff::Timestamp::now().as_millisecond());
            told.ahead = number(&row, "now").map_or(0, |there: i64| (there - here).div_euclid(1000));
            told.address = address(row.get("address"));
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
        for row in self.rows(OTHERS).await? {
            told.others.insert(text(&row, "name"), number(&row, "count").unwrap_or_default());
        }
        told.roles = self.rows(ROLES).await?.iter().map(limit).collect();
        told.databases = self.rows(DATABASES).await?.iter().map(limit).collect();
        Ok(told)
    }

    /// Ends connections, and waits until they are gone. What has ended meanwhile is left alone, and with `idle_over` what
    /// has not been idle for so many seconds any more: each is looked at again in the very statement that ends it.
    ///
    /// # Errors
    /// When the server does not answer any more, or not in time.
    pub async fn terminate(&self, chosen: &[Chosen], idle_over: Option<i64>) -> Result<Ended, PostgresError> {
        let mut ended = Ended::default();
        let mut told = HashSet::new();
        for one in chosen {
            match self.rows(&ending(*one, idle_over)).await {
                Ok(rows) if rows.iter().any(|row| row.get("done") == Some("t")) => drop(told.insert(*one)),
                Ok(_) => ended.left.push(*one),
                // Such as another role's superuser: the others are still asked for.
                Err(PostgresError::Refused { why, .. }) if !self.client.is_closed() => ended.refused.push((*one, why)),
                Err(error) => return Err(error),
            }
        }
        let end = tokio::time::Instant::now() + ENDING;
        let mut there = told.clone();
        while !there.is_empty() {
            let rows = self.rows(BACKENDS).await?;
            let now: HashSet<Chosen> = rows.iter().map(backend).filter_map(|one| one.chosen()).collect();
            there.retain(|one| now.contains(one));
            if tokio::time::Instant::now() >= end {
                break;
            }
            if !there.is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        }
        for one in chosen.iter().filter(|one| told.contains(one)) {
            if there.contains(one) { &mut ended.slow } else { &mut ended.gone }.push(*one);
        }
        Ok(ended)
    }

    /// The rows of an answer.
    ///
    /// # Errors
    /// When there is none in time.
    pub(in crate::trace) async fn rows(&self, question: &str) -> Result<Vec<SimpleQueryRow>, PostgresError> {
        let answer = tokio::time::timeout(LIMIT, self.client.simple_query(question)).await;
        let answer = answer.map_err(|_| PostgresError::TooSlow { place: self.place.clone() })?;
        let messages = answer.map_err(|error| PostgresError::of(&self.place, &error))?;
        let row = |message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        };
        Ok(messages.into_iter().filter_map(row).collect())
    }
}

/// Only numbers come in, so nothing has to be quoted. `case` keeps the order: looked at first, then ended.
fn ending(one: Chosen, idle_over: Option<i64>) -> String {
    let idle = idle_over.map_or_else(String::new, |least| {
        format!(" and state like 'idle%' and extract(epoch from now() - state_change) >= {least}")
    });
    format!(
        "select case when floor(extract(epoch from backend_start))::bigint = {}{idle} \
         then pg_terminate_backend(pid) else false end as done from pg_stat_activity where pid = {}",
        one.since, one.pid
    )
}

impl Backend {
    /// Process ids are used again: when it began tells that it is still the same.
    pub fn chosen(&self) -> Option<Chosen> {
        Some(Chosen { pid: self.pid, since: self.since? })
    }
}

pub(in crate::trace) fn text(row: &SimpleQueryRow, name: &str) -> String {
    row.get(name).unwrap_or_default().to_owned()
}

pub(in crate::trace) fn number<T: std::str::FromStr>(row: &SimpleQueryRow, name: &str) -> Option<T> {
    row.get(name).and_then(|text| text.parse().ok())
}

/// An address, also one that was mapped into the other family.
pub(in crate::trace) fn address(text: Option<&str>) -> Option<IpAddr> {
    Some(text?.parse::<IpAddr>().ok()?.to_canonical())
}

fn backend(row: &SimpleQueryRow) -> Backend {
    let hidden = row.get("backend_type").is_none();
    Backend {
        pid: number(row, "pid").unwrap_or_default(),
        user: text(row, "usename"),
        database: text(row, "datname"),
        application: text(row, "application_name"),
        client: address(row.get("client")),
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
        quoted: text(row, "quoted"),
        // -1 is "no limit"; -2 is a database that is not valid.
        most: number(row, "most"),
        superuser: row.get("super") == Some("t"),
    }
}
