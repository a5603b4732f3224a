//! Who is behind a pooler: what pgbouncer's console tells of its clients and of its connections to servers.
//!
//! `SHOW CLIENTS` and `SHOW SERVERS` point at each other while a client uses a server: as long as it is connected with
//! session pooling, for a transaction otherwise. The two are asked one after the other, so only what both say counts.
//! Where nobody uses a connection, its pool is named, and who waits there.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use serde::Serialize;
use tokio_postgres::SimpleQueryRow;

use super::cluster::Cluster;
use super::join::{End, Seen, Server};
use super::postgres::{APPLICATION, Backend, Dsn, PostgresError, Session, address, number, text};
use super::report::holder;
use super::who::Who;

/// The database that is the console.
pub const CONSOLE: &str = "pgbouncer";

/// A pooler, and what it told.
#[derive(Clone, Debug, Default)]
pub struct Pooler {
    /// Where its console is, for people.
    pub place: String,
    /// Its clients.
    pub clients: Vec<Client>,
    /// Its connections to servers.
    pub servers: Vec<Upstream>,
    /// Its pools: one for each database and role.
    pub pools: Vec<Pool>,
}

/// A client of a pooler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// The database that it asked for.
    pub database: String,
    /// Its role.
    pub user: String,
    /// What it calls itself.
    pub application: String,
    /// `active`, `waiting`, …
    pub state: String,
    /// Its end, as the pooler sees it; none over a local socket.
    pub end: Option<End>,
    /// The pooler's own end.
    pub local: Option<End>,
    /// When it connected, in seconds since 1970 by this machine's clock.
    pub since: Option<i64>,
    id: String,
    uses: String,
}

/// A pooler's connection to a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upstream {
    /// The database.
    pub database: String,
    /// The role.
    pub user: String,
    /// The server's end.
    pub server: Option<End>,
    /// The pooler's own end.
    pub local: Option<End>,
    /// The server's process.
    pub pid: i64,
    id: String,
    used_by: String,
}

/// A pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pool {
    /// The database, as clients call it.
    pub database: String,
    /// The role.
    pub user: String,
    /// `session`, `transaction` or `statement`.
    pub mode: String,
    /// Clients that use a connection, or may.
    pub clients: u64,
    /// Clients that wait for one.
    pub waiting: u64,
    /// For how many seconds the first of them has waited.
    pub longest_wait: u64,
    /// Its connections to the server.
    pub servers: u64,
    /// How many it may open: its size and its reserve.
    pub size: u64,
}

/// Who is behind a connection of a pooler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Behind {
    /// The pooler.
    pub pooler: String,
    /// `DATABASE/ROLE` as the pooler knows them.
    pub pool: String,
    /// How clients get connections: `session`, `transaction`, `statement`.
    pub mode: String,
    /// Who uses it now; none if nobody does.
    pub client: Option<Who>,
    /// The client as the pooler sees it.
    pub seen_as: Option<String>,
    /// What the client calls itself.
    pub application: Option<String>,
    /// If nobody uses it: who has clients in this pool, and how many.
    pub candidates: BTreeMap<String, usize>,
}

/// A connection to a pooler's console.
pub struct Console {
    session: Session,
    place: String,
    opened: i64,
}

impl Console {
    /// Connects.
    ///
    /// # Errors
    /// As [`Session::open`].
    pub async fn open(dsn: &Dsn) -> Result<Self, PostgresError> {
        let opened = jiff::Timestamp::now().as_second();
        Ok(Self { session: Session::open(dsn).await?, place: dsn.place(), opened })
    }

    /// What it tells.
    ///
    /// # Errors
    /// When it does not answer, not in time, or not to this role.
    pub async fn ask(&self) -> Result<Pooler, PostgresError> {
        let rows = async |what: &str| self.session.rows(what).await;
        let clients = rows("SHOW CLIENTS").await?;
        let servers = rows("SHOW SERVERS").await?;
        let sizes = sizes(&rows("SHOW DATABASES").await?);
        let pools = rows("SHOW POOLS").await?.iter().map(|row| pool(row, &sizes)).collect();
        let ahead = ahead(&clients, self.opened);
        Ok(Pooler {
            place: self.place.clone(),
            clients: clients.iter().map(|row| client(row, ahead)).filter(|one| one.database != CONSOLE).collect(),
            servers: servers.iter().map(upstream).collect(),
            pools: without_console(pools),
        })
    }
}

fn without_console(mut pools: Vec<Pool>) -> Vec<Pool> {
    pools.retain(|pool| pool.database != CONSOLE);
    pools
}

/// Its times are in a zone of its own and by its own clock; our own client tells how far these are off.
fn ahead(clients: &[SimpleQueryRow], opened: i64) -> Option<i64> {
    let own = |row: &&SimpleQueryRow| {
        row.get("database") == Some(CONSOLE) && row.get("application_name") == Some(APPLICATION)
    };
    clients.iter().filter(own).filter_map(|row| time(row.get("connect_time")?)).max().map(|time| time - opened)
}

/// `2026-05-01 10:00:00 UTC`, as if it were that zone.
fn time(text: &str) -> Option<i64> {
    let civil: jiff::civil::DateTime = text.get(..19)?.parse().ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

fn end(row: &SimpleQueryRow, host: &str, port: &str) -> Option<End> {
    // Over a local socket the address is a word.
    Some((address(row.get(host))?, number(row, port)?))
}

fn client(row: &SimpleQueryRow, ahead: Option<i64>) -> Client {
    Client {
        database: text(row, "database"),
        user: text(row, "user"),
        application: text(row, "application_name"),
        state: text(row, "state"),
        end: end(row, "addr", "port"),
        local: end(row, "local_addr", "local_port"),
        since: ahead.and_then(|ahead| Some(time(row.get("connect_time")?)? - ahead)),
        id: text(row, "ptr"),
        uses: text(row, "link"),
    }
}

fn upstream(row: &SimpleQueryRow) -> Upstream {
    Upstream {
        database: text(row, "database"),
        user: text(row, "user"),
        server: end(row, "addr", "port"),
        local: end(row, "local_addr", "local_port"),
        pid: number(row, "remote_pid").unwrap_or_default(),
        id: text(row, "ptr"),
        used_by: text(row, "link"),
    }
}

fn sizes(rows: &[SimpleQueryRow]) -> HashMap<String, u64> {
    let count = |row: &SimpleQueryRow, name: &str| number::<u64>(row, name).unwrap_or_default();
    let reserve = |row: &SimpleQueryRow| number(row, "reserve_pool").or_else(|| number(row, "reserve_pool_size"));
    let size = |row| (text(row, "name"), count(row, "pool_size") + reserve(row).unwrap_or(0u64));
    rows.iter().map(size).collect()
}

fn pool(row: &SimpleQueryRow, sizes: &HashMap<String, u64>) -> Pool {
    let count = |name: &str| number::<u64>(row, name).unwrap_or_default();
    let database = text(row, "database");
    Pool {
        user: text(row, "user"),
        mode: text(row, "pool_mode"),
        clients: count("cl_active"),
        waiting: count("cl_waiting"),
        longest_wait: count("maxwait"),
        servers: ["sv_active", "sv_idle", "sv_used", "sv_tested", "sv_login"].iter().map(|name| count(name)).sum(),
        size: sizes.get(&database).copied().unwrap_or_default(),
        database,
    }
}

impl Pooler {
    /// How many connections it may open, in all pools that there are now.
    pub fn most(&self) -> u64 {
        self.pools.iter().map(|pool| pool.size.max(pool.servers)).sum()
    }

    /// Its clients' connections, as it sees them: to be named as those of any server.
    pub fn connections(&self) -> impl Iterator<Item = (Seen, Server)> {
        self.clients.iter().filter_map(Client::connection)
    }

    /// Its connection that a server has as this process, seen from this end and opened by this socket.
    pub fn upstream(&self, backend: &Backend, socket: Option<&str>, server: &Server) -> Option<&Upstream> {
        let seen = backend.client.zip(backend.client_port);
        let is = |own: &&Upstream| {
            let known = |end: End| Some(end) == seen || Some(SocketAddr::from(end).to_string().as_str()) == socket;
            // Poolers have several servers, whose processes may have one number; and some translate behind them.
            let there = |end: End| server.addresses.contains(&end.0) && server.ports.contains(&end.1);
            own.pid == backend.pid
                && own.user == backend.user
                && (own.local.is_some_and(known) || own.server.map_or(seen.is_none(), there))
        };
        self.servers.iter().find(is)
    }

    /// Who is behind one of its connections.
    pub fn behind(&self, upstream: &Upstream, cluster: &Cluster) -> Behind {
        let of_pool = |client: &&Client| client.database == upstream.database && client.user == upstream.user;
        let uses = |client: &&Client| client.uses == upstream.id && upstream.used_by == client.id;
        let client = self.clients.iter().find(uses);
        let mut candidates = BTreeMap::new();
        if client.is_none() {
            for one in self.clients.iter().filter(of_pool) {
                *candidates.entry(holder(&one.who(cluster))).or_default() += 1;
            }
        }
        let pool = self.pools.iter().find(|pool| pool.database == upstream.database && pool.user == upstream.user);
        Behind {
            pooler: self.place.clone(),
            pool: format!("{}/{}", upstream.database, upstream.user),
            mode: pool.map(|pool| pool.mode.clone()).unwrap_or_default(),
            client: client.map(|client| client.who(cluster)),
            seen_as: client.and_then(|client| Some(SocketAddr::from(client.end?).to_string())),
            application: client.map(|client| client.application.clone()).filter(|name| !name.is_empty()),
            candidates,
        }
    }
}

impl Client {
    fn connection(&self) -> Option<(Seen, Server)> {
        let (address, port): (IpAddr, u16) = self.local?;
        let server = Server { addresses: vec![address], ports: vec![port] };
        Some((Seen { client: self.end?, since: self.since }, server))
    }

    /// Who it is.
    pub fn who(&self, cluster: &Cluster) -> Who {
        self.connection().map_or(Who::Local, |(seen, server)| cluster.who(&seen, &server))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::trace::workloads::Workloads;

    fn end(text: &str) -> Option<End> {
        let end: SocketAddr = text.parse().ok()?;
        Some((end.ip(), end.port()))
    }

    fn pooler() -> Pooler {
        let client = |from: &str, id: &str, uses: &str| Client {
            database: "shop".to_owned(),
            user: "app".to_owned(),
            end: end(from),
            local: end("10.1.0.9:6432"),
            id: id.to_owned(),
            uses: uses.to_owned(),
            ..Client::default()
        };
        let server = |pid: i64, local: &str, id: &str, used_by: &str| Upstream {
            database: "shop".to_owned(),
            user: "app".to_owned(),
            server: end("192.0.2.1:5432"),
            local: end(local),
            pid,
            id: id.to_owned(),
            used_by: used_by.to_owned(),
        };
        let pool = Pool {
            database: "shop".to_owned(),
            user: "app".to_owned(),
            mode: "transaction".to_owned(),
            size: 20,
            servers: 3,
            ..Pool::default()
        };
        Pooler {
            place: "pgb:6432".to_owned(),
            clients: vec![
                client("10.1.0.6:1", "c1", "s1"),
                client("10.1.0.7:1", "c2", ""),
                client("10.1.0.7:2", "c3", "s3"),
            ],
            // The last link was asked for a moment later: it had changed.
            servers: vec![
                server(11, "10.1.0.9:500", "s1", "c1"),
                server(12, "10.1.0.9:501", "s2", ""),
                server(13, "10.1.0.9:502", "s3", "c9"),
            ],
            pools: vec![pool],
        }
    }

    #[test]
    fn links_count_when_both_sides_say_so() {
        let pod = |name: &str, at: &str| json!({"metadata": {"namespace": "shop", "name": name, "uid": name}, "spec": {"nodeName": "n1"}, "status": {"podIP": at}});
        let cluster = Cluster::of(&[pod("a", "10.1.0.6"), pod("b", "10.1.0.7")], &[], Workloads::default());
        let pooler = pooler();
        let behind = |number: usize| pooler.behind(&pooler.servers[number], &cluster);
        let first = behind(0);
        assert_eq!(first.client.as_ref().map(holder).as_deref(), Some("pod shop/a"));
        assert_eq!((first.pool.as_str(), first.mode.as_str(), first.candidates.len()), ("shop/app", "transaction", 0));
        for number in [1, 2] {
            let idle = behind(number);
            assert_eq!(idle.client, None);
            let expected = [("pod shop/a".to_owned(), 1), ("pod shop/b".to_owned(), 2)];
            assert_eq!(idle.candidates, expected.into_iter().collect());
        }
        assert_eq!(pooler.most(), 20);
    }

    #[test]
    fn a_backend_is_a_poolers_by_process_and_end() {
        let pooler = pooler();
        let server = Server { addresses: vec!["192.0.2.1".parse().unwrap()], ports: vec![5432] };
        let backend = |pid: i64, user: &str, client: Option<&str>| {
            let client = client.and_then(end);
            Backend {
                pid,
                user: user.to_owned(),
                client: client.map(|client| client.0),
                client_port: client.map(|client| client.1),
                ..Backend::default()
            }
        };
        let is = |backend: &Backend, socket, server: &Server| pooler.upstream(backend, socket, server).is_some();
        let elsewhere = Server { addresses: vec!["198.51.100.1".parse().unwrap()], ..server.clone() };
        let masked = backend(11, "app", Some("10.9.0.5:7777"));
        assert!(is(&masked, Some("10.1.0.9:500"), &elsewhere));
        assert!(is(&masked, None, &server));
        assert!(!is(&masked, None, &elsewhere));
        assert!(is(&backend(11, "app", Some("10.1.0.9:500")), None, &elsewhere));
        assert!(!is(&backend(99, "app", Some("10.1.0.9:500")), None, &server));
        assert!(!is(&backend(11, "other", Some("10.1.0.9:500")), None, &server));
    }

    #[test]
    fn times_are_read_in_any_zone() {
        assert_eq!(time("1970-01-01 00:01:05 CEST"), Some(65));
        assert_eq!(time("soon"), None);
    }
}
