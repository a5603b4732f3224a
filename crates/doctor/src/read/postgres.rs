//! What PostgreSQL and its poolers tell in tables: backends, counts, settings, the two sides of a pgbouncer.

use std::net::IpAddr;

use crate::evidence::{Item, ItemKind};

/// A table that `psql` printed: aligned, unaligned or expanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table<'a> {
    /// Titles.
    pub head: Vec<&'a str>,
    /// Rows: the line in the text (from 1) and the cells.
    pub rows: Vec<(u32, Vec<&'a str>)>,
}

impl<'a> Table<'a> {
    /// The number of a column.
    pub fn column(&self, title: &str) -> Option<usize> {
        self.head.iter().position(|found| found.eq_ignore_ascii_case(title))
    }

    /// A cell of a row; empty when there is none.
    pub fn cell(&self, row: &[&'a str], title: &str) -> &'a str {
        self.column(title).and_then(|column| row.get(column)).copied().unwrap_or_default()
    }
}

/// The tables of a text.
pub fn tables(text: &str) -> Vec<Table<'_>> {
    let lines: Vec<&str> = text.lines().collect();
    let mut tables: Vec<Table<'_>> = Vec::new();
    let (mut open, mut record) = (false, false);
    for (index, line) in lines.iter().enumerate() {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let next = lines.get(index + 1).copied().unwrap_or_default();
        if line.trim_start().starts_with("-[ RECORD") {
            (open, record) = (false, true);
            tables.push(Table { head: Vec::new(), rows: vec![(number, Vec::new())] });
        } else if let Some(Table { head, rows }) = tables.last_mut().filter(|_| record)
            && let Some((title, cell)) = line.split_once('|')
        {
            head.push(title.trim());
            if let Some((_, cells)) = rows.last_mut() {
                cells.push(cell.trim());
            }
        } else if is_rule(next) && !line.trim().is_empty() {
            tables.push(Table { head: cells(line), rows: Vec::new() });
            open = true;
        } else if is_rule(line) {
        } else if line.trim().is_empty() || line.trim_start().starts_with('(') {
            (open, record) = (false, false);
        } else if open && let Some(table) = tables.last_mut() {
            table.rows.push((number, cells(line)));
        } else if line.matches('|').count() > 1 && line.matches('|').count() == next.matches('|').count() {
            tables.push(Table { head: cells(line), rows: Vec::new() });
            open = true;
        }
    }
    tables
}

fn cells(line: &str) -> Vec<&str> {
    line.trim().trim_start_matches('║').split(['|', '│']).map(str::trim).collect()
}

/// `-----+-----`.
fn is_rule(line: &str) -> bool {
    let line = line.trim();
    line.len() >= 3 && line.contains("--") && line.chars().all(|mark| "-+|".contains(mark))
}

/// A connection as `pg_stat_activity` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Number of the item.
    pub item: usize,
    /// Line in the item, from 1.
    pub line: u32,
    /// Process id of the backend.
    pub pid: String,
    /// Role.
    pub user: String,
    /// `application_name`.
    pub application: String,
    /// `idle`, `active`, …
    pub state: String,
    /// The client's address; none over a local socket.
    pub client: Option<IpAddr>,
    /// The client's port.
    pub client_port: Option<u16>,
    /// When it began, in seconds since 1970.
    pub start: Option<i64>,
}

/// How many connections somebody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Number of the item.
    pub item: usize,
    /// Line in the item, from 1.
    pub line: u32,
    /// The client's address as written.
    pub client: String,
    /// `application_name`.
    pub application: String,
    /// Role.
    pub user: String,
    /// `idle`, `active`, …
    pub state: String,
    /// How many.
    pub count: u64,
}

/// A row of pgbouncer's `SHOW CLIENTS` or `SHOW SERVERS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pooled {
    /// Number of the item.
    pub item: usize,
    /// Whether it is a connection to the database.
    pub to_server: bool,
    /// The other side's address and port.
    pub peer: (Option<IpAddr>, Option<u16>),
    /// The pooler's address and port.
    pub local: (Option<IpAddr>, Option<u16>),
    /// What names this row.
    pub pointer: String,
    /// The row of the other table that it belongs to; empty when idle.
    pub link: String,
}

/// All that was told of PostgreSQL.
#[derive(Clone, Debug, Default)]
pub struct Postgres {
    /// Connections.
    pub backends: Vec<Backend>,
    /// Counts.
    pub holdings: Vec<Holding>,
    /// Connections of a pgbouncer.
    pub pooled: Vec<Pooled>,
    /// Settings with a number: name, value, item, line.
    pub settings: Vec<(String, u64, usize, u32)>,
}

const SETTINGS: [&str; 3] = ["max_connections", "superuser_reserved_connections", "reserved_connections"];

impl Postgres {
    pub(crate) fn of(items: &[Item]) -> Self {
        let mut postgres = Self::default();
        for (number, item) in items.iter().enumerate() {
            if matches!(
                item.kind,
                ItemKind::PgActivity | ItemKind::NodeFacts | ItemKind::Text | ItemKind::KubectlOutput
            ) {
                postgres.add(number, &item.text);
            }
        }
        postgres
    }

    /// A setting's value.
    pub fn setting(&self, name: &str) -> Option<u64> {
        self.settings.iter().find(|one| one.0 == name).map(|one| one.1)
    }

    fn add(&mut self, item: usize, text: &str) {
        for table in tables(text) {
            for (line, row) in &table.rows {
                self.row(item, *line, &table, row);
            }
        }
        for (index, line) in text.lines().enumerate() {
            let Some((name, value)) = line.split_once(['=', ':']) else { continue };
            let number = value.trim().split(|end: char| !end.is_ascii_digit()).next().unwrap_or_default();
            self.set(name.trim(), number, item, u32::try_from(index + 1).unwrap_or(u32::MAX));
        }
    }

    fn set(&mut self, name: &str, value: &str, item: usize, line: u32) {
        if let (true, Ok(value)) = (SETTINGS.contains(&name), value.parse()) {
            self.settings.push((name.to_owned(), value, item, line));
        }
    }

    fn row(&mut self, item: usize, line: u32, table: &Table<'_>, row: &[&str]) {
        let cell = |title: &str| table.cell(row, title);
        let owned = |title: &str| cell(title).to_owned();
        for title in SETTINGS {
            self.set(title, cell(title), item, line);
        }
        self.set(cell("name"), cell("setting"), item, line);
        let count = ["count", "n", "connections", "numbackends", "total", "num"]
            .iter()
            .find_map(|title| cell(title).parse().ok());
        let told = ["client_addr", "application_name", "usename"].iter().any(|title| table.column(title).is_some());
        if let (Some(count), true, None) = (count, told, table.column("client_port")) {
            self.holdings.push(Holding {
                item,
                line,
                client: owned("client_addr"),
                application: owned("application_name"),
                user: owned("usename"),
                state: owned("state"),
                count,
            });
        } else if table.column("client_addr").is_some() && table.column("pid").is_some() {
            self.backends.push(Backend {
                item,
                line,
                pid: owned("pid"),
                user: owned("usename"),
                application: owned("application_name"),
                state: owned("state"),
                client: address(cell("client_addr")),
                client_port: cell("client_port").parse().ok(),
                start: seconds(cell("backend_start")),
            });
        } else if table.column("local_addr").is_some() && table.column("link").is_some() {
            let side = |address_title: &str, port: &str| (address(cell(address_title)), cell(port).parse().ok());
            self.pooled.push(Pooled {
                item,
                to_server: cell("type") == "S" || (cell("type").is_empty() && cell("port") == "5432"),
                peer: side("addr", "port"),
                local: side("local_addr", "local_port"),
                pointer: owned("ptr"),
                link: owned("link"),
            });
        }
    }
}

/// An address, with or without its mask.
fn address(text: &str) -> Option<IpAddr> {
    text.split('/').next()?.parse().ok()
}

/// `2024-03-01 10:00:00.123+00`.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Origin;

    fn read(text: &str) -> Postgres {
        let origin = Origin("psql".to_owned());
        Postgres::of(&[Item { kind: ItemKind::PgActivity, origin, text: text.to_owned() }])
    }

    #[test]
    fn backends_counts_and_settings() {
        let read = read(
            " pid | client_addr | client_port | state |     backend_start\n-----+-------------+-------------+-------+------------------------\n 7 | 10.0.0.1 | 400 | idle | 2022-07-20 06:25:04+02\n 8 |  | -1 | idle | 2022-07-20 04:25:04+00\n(2 rows)\n\nclient_addr|application_name|count\n10.0.0.1/32|web|76\n|psql|1\n(2 rows)\n max_connections \n-----------------\n 135\n(1 row)\nreserved_connections = 5\n",
        );
        assert_eq!(read.backends[0].client, "10.0.0.1".parse().ok());
        assert_eq!(read.backends[0].start, seconds("2022-07-20 04:25:04+00"));
        assert_eq!((read.backends[1].client, read.backends[1].client_port), (None, None));
        assert_eq!(read.holdings.iter().map(|one| one.count).collect::<Vec<_>>(), [76, 1]);
        assert_eq!((read.setting("max_connections"), read.setting("reserved_connections")), (Some(135), Some(5)));
    }

    #[test]
    fn expanded_tables_and_poolers() {
        let read = read(
            "-[ RECORD 1 ]-+---------\npid           | 12\nclient_addr   | 10.0.0.9\nclient_port   | 77\n-[ RECORD 2 ]-+---------\npid           | 13\nclient_addr   | 10.0.0.8\nclient_port   | 78\n\n type | addr | port | local_addr | local_port | ptr | link\n------+------+------+------------+-----------+-----+-----\n S | 10.0.0.2 | 5432 | 10.1.0.3 | 9000 | 0x1 | 0x2\n",
        );
        assert_eq!(read.backends.iter().map(|one| one.client_port).collect::<Vec<_>>(), [Some(77), Some(78)]);
        assert_eq!((read.pooled[0].to_server, read.pooled[0].local.1), (true, Some(9000)));
    }
}
