//! What can be typed after `shipmate trace`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Output;
use super::reach::Reach;

const EXIT_CODES: &str = "\
Exit codes:
  0  done; what could not be told is said
  1  the server or the cluster can't be asked; the message says why and what to do
  2  the command line makes no sense
  3  there is no such cluster, or it is not running";

const POOLERS: &str = "\
Poolers: --pgbouncer names the console of a pgbouncer, `host=pgb port=6432 user=stats`; its database is `pgbouncer`. The \
role has to be in stats_users (enough) or admin_users of pgbouncer.ini, and its password in auth_file. Then each \
connection of the pooler shows its client: for as long as one uses it (with session pooling while it is connected, else \
during a transaction); otherwise the pool's clients are named as candidates.";

const PASSWORDS: &str = "\
The password comes from $PGPASSWORD, $PGPASSFILE or ~/.pgpass (mode 0600), a --dsn-file, or it is asked for. One in \
--dsn works, but others on this machine can read it there.";

/// Whose connection is this?
#[derive(Subcommand)]
pub(crate) enum Trace {
    /// Name the pods behind a PostgreSQL server's connections: who holds how many, and how full it gets
    Postgres(Box<TracePostgres>),
    /// Name the pods that are connected to any TCP server
    Tcp(Box<TraceTcp>),
    /// Name what a pod is connected to
    Pod(Box<TracePod>),
    /// Show what `trace postgres --history` has written, as a chart
    History(TraceHistory),
}

/// How data is printed.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TraceFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// A row for each connection.
    Csv,
}

/// Arguments of `trace postgres`.
#[derive(Args)]
#[command(after_help = EXIT_CODES, after_long_help = format!("{PASSWORDS}\n\n{POOLERS}\n\n{EXIT_CODES}"))]
pub(crate) struct TracePostgres {
    /// Where the server is, as psql takes it: `host=db user=app dbname=app` or `postgres://app@db/app`. What is missing
    /// comes from PGHOST, PGPORT, PGUSER and PGDATABASE.
    #[arg(long, value_name = "DSN", conflicts_with = "dsn_file")]
    pub(crate) dsn: Option<String>,
    /// A file that holds this; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) dsn_file: Option<PathBuf>,
    /// List only connections to this database.
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<String>,
    /// List only connections of this role.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// List only connections in this state: `idle`, `active`, `idle in transaction`, …
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Option<String>,
    /// List only connections that have been idle for so long, also within a transaction: `5m`, `1h30m`.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(crate) min_idle: Option<i64>,
    /// Another address of the server, if clients reach it by several.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub(crate) server: Vec<std::net::IpAddr>,
    /// Look through this pooler: the connection string of its console. May be given several times.
    #[arg(long, value_name = "DSN")]
    pub(crate) pgbouncer: Vec<String>,
    /// A machine outside the cluster that translates addresses, such as a NAT gateway: its table of connections is read by
    /// OpenSSH, as `--ssh` says. `localhost` is this machine. May be given several times.
    #[arg(long, value_name = "HOST")]
    pub(crate) gateway: Vec<String>,
    /// Add a sample of who holds how many to this file at each look: `trace history` draws it.
    #[arg(long, value_name = "FILE")]
    pub(crate) history: Option<PathBuf>,
    /// How many bytes this file may have; when it is full, its older half is dropped.
    #[arg(long, value_name = "BYTES", requires = "history", value_parser = clap::value_parser!(u64).range(4096..))]
    pub(crate) history_size: Option<u64>,
    /// Look again every so many seconds, until Ctrl-C. Pods that are gone meanwhile keep their names.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "2",
        value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "kill")]
    pub(crate) watch: Option<u32>,
    /// End the connections that `--pods` and `--idle-over` choose, after showing them.
    #[arg(long)]
    pub(crate) kill: bool,
    /// With `--kill`: of these pods only.
    #[arg(long, value_name = "NAMESPACE/NAME", requires = "kill", value_delimiter = ',')]
    pub(crate) pods: Vec<String>,
    /// With `--kill`: only those that have been idle for longer, also within a transaction.
    #[arg(long, value_name = "TIME", requires = "kill", value_parser = seconds)]
    pub(crate) idle_over: Option<i64>,
    /// With `--kill`: do not ask.
    #[arg(long, short = 'y', requires = "kill")]
    pub(crate) yes: bool,
    /// With `--kill`: only show what would be ended.
    #[arg(long, requires = "kill")]
    pub(crate) dry_run: bool,
    /// Print for people, as JSON, or as CSV.
    #[arg(long, short = 'o', value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: TraceFormat,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// Arguments of `trace tcp`.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct TraceTcp {
    /// The server, as its clients call it: a Service's address does, too.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) to: String,
    /// Also those that begin or have ended.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// Arguments of `trace pod`.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct TracePod {
    /// The pod.
    #[arg(value_name = "NAMESPACE/NAME")]
    pub(crate) pod: String,
    /// Also connections that begin or have ended.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// Arguments of `trace history`.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct TraceHistory {
    /// The file that `--history` has written.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Write a picture there, instead of a chart for the terminal; `-` prints it.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// Only the last part: `1h`, `30m`.
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    pub(crate) last: Option<i64>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// `90`, `5m`, `1h30m`, in seconds.
fn seconds(text: &str) -> Result<i64, String> {
    if let Ok(seconds) = text.parse::<u32>() {
        return Ok(seconds.into());
    }
    match text.parse::<jiff::SignedDuration>() {
        Ok(time) if !time.is_negative() => Ok(time.as_secs()),
        _ => Err("a time is written like `90s`, `5m` or `1h30m`".to_owned()),
    }
}
