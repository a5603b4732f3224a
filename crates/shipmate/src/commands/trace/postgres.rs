//! `shipmate trace postgres`: the pods behind a server's connections.

use std::collections::HashSet;
use std::io::{IsTerminal as _, Read as _};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use operate::trace::postgres::{Dsn, PostgresError, Session, Surroundings, Told};
use operate::trace::report::{Filter, Report, report};

use super::cluster::Memory;
use super::{cluster, csv, kill, links, password, show};
use crate::cli::trace::{TraceFormat, TracePostgres};
use crate::cli::{Format, Output};
use crate::output;
use crate::reach::{self, Reached};

/// Larger than any connection string.
const MAX_DSN: u64 = 64 << 10;

pub(super) async fn run(arguments: &TracePostgres) -> anyhow::Result<()> {
    let mut dsn = dsn(arguments)?;
    let reached = reach::connect(&arguments.reach).await?;
    let session = match open(&mut dsn).await {
        Err(error) if matches!(error.downcast_ref(), Some(PostgresError::Full { .. })) => {
            eprintln!("what the nodes tell, without the server's own words:");
            let format = if arguments.output == TraceFormat::Json { Format::Json } else { Format::Text };
            links::from_outside(&reached, &dsn.addresses().await, dsn.port(), Output { output: format }).await?;
            return Err(error);
        }
        opened => opened?,
    };
    let mut memory = Memory::default();
    let Some(seconds) = arguments.watch else {
        let report = look(arguments, &reached, &dsn, &session, &mut memory).await?;
        if arguments.kill {
            return kill::run(arguments, &session, &report).await;
        }
        return print(arguments.output, &report);
    };
    let mut ticks = tokio::time::interval(Duration::from_secs(seconds.into()));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let looked = async {
            ticks.tick().await;
            look(arguments, &reached, &dsn, &session, &mut memory).await
        };
        tokio::select! {
            report = looked => again(arguments.output, &report?)?,
            ended = tokio::signal::ctrl_c() => return Ok(ended?),
        }
    }
}

/// One look of many: a line of JSON, or a screen.
fn again(format: TraceFormat, report: &Report) -> anyhow::Result<()> {
    if format == TraceFormat::Json {
        return output::print(&format!("{}\n", serde_json::to_string(report)?));
    }
    if std::io::stdout().is_terminal() {
        // Clear, and begin at the top.
        output::print("\x1b[H\x1b[2J")?;
    }
    output::print(&format!("{}\n", jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S")))?;
    print(format, report)
}

fn print(format: TraceFormat, report: &Report) -> anyhow::Result<()> {
    match format {
        TraceFormat::Json => output::print_json(report),
        TraceFormat::Csv => output::print(&csv::text(&report.connections)),
        TraceFormat::Text => output::print(&show::text(report)),
    }
}

fn dsn(arguments: &TracePostgres) -> anyhow::Result<Dsn> {
    let text = match (&arguments.dsn, &arguments.dsn_file) {
        (Some(text), _) => text.clone(),
        (None, Some(file)) => read(file)?,
        (None, None) => String::new(),
    };
    let dsn = Dsn::read(&text, &Surroundings::from_environment())?;
    if dsn.with_password && arguments.dsn.is_some() {
        eprintln!(
            "warning: others on this machine can read the password in --dsn: use --dsn-file, PGPASSWORD or ~/.pgpass"
        );
    }
    Ok(dsn)
}

fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_DSN).read_to_string(&mut text).context("read standard input")?;
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("read {}", file.display()))?;
        opened.take(MAX_DSN).read_to_string(&mut text).with_context(|| format!("read {}", file.display()))?;
    }
    if text.trim().is_empty() {
        bail!("{} is empty: it should hold a connection string", file.display());
    }
    Ok(text)
}

/// Connects; asks for the password if there is somebody who can type it.
async fn open(dsn: &mut Dsn) -> anyhow::Result<Session> {
    match Session::open(dsn).await {
        Err(PostgresError::NoPassword(place)) => {
            let Some(word) = password::ask(&format!("Password for {place}: "))? else {
                return Err(PostgresError::NoPassword(place).into());
            };
            dsn.set_password(&word);
            Ok(Session::open(dsn).await?)
        }
        opened => Ok(opened?),
    }
}

/// One look at the server and at the cluster.
async fn look(
    arguments: &TracePostgres,
    reached: &Reached,
    dsn: &Dsn,
    session: &Session,
    memory: &mut Memory,
) -> anyhow::Result<Report> {
    let (told, known) = tokio::join!(session.ask(), cluster::known(reached, memory));
    let (told, mut known) = (told?, known?);
    let ends = ends(&told);
    known.read_flows(reached, &ends, told.port).await;
    let mut notes = std::mem::take(&mut known.notes);
    if told.hidden > 0 {
        notes.push(format!(
            "{} connections are other roles', of which the server tells {1} nothing: GRANT pg_monitor TO {1}",
            told.hidden, told.me
        ));
    }
    let filter = Filter {
        database: arguments.database.clone(),
        user: arguments.user.clone(),
        state: arguments.state.clone(),
        min_idle: arguments.min_idle,
    };
    let server = format!("PostgreSQL {} at {}", told.version, dsn.place());
    Ok(report(server, &told, &known.cluster, &filter, notes))
}

/// The clients' ends, as the server sees them.
fn ends(told: &Told) -> HashSet<(IpAddr, u16)> {
    told.backends.iter().filter_map(|backend| backend.client.zip(backend.client_port)).collect()
}
