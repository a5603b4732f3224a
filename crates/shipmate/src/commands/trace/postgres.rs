//! `shipmate trace postgres`: the pods behind a server's connections.

use std::collections::HashSet;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use operate::access::Access;
use operate::trace::history::{History, SIZE, Sample};
use operate::trace::join::{End, Server};
use operate::trace::postgres::{Dsn, PostgresError, Session, Surroundings, Told};
use operate::trace::report::{self, Around, Filter, Report};

use super::cluster::{self, Memory};
use super::poolers::Consoles;
use super::watch::{self, Events};
use super::{csv, kill, links, password, show};
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
    let mut tracer = Tracer::new(arguments, reached, dsn, session).await?;
    if arguments.watch.is_some() {
        return watch::run(&mut tracer).await;
    }
    let report = tracer.look().await?;
    if arguments.kill {
        return kill::run(arguments, &tracer.session, &report).await;
    }
    print(arguments.output, &report)
}

/// All that one look after the other needs.
pub(super) struct Tracer<'a> {
    pub(super) arguments: &'a TracePostgres,
    pub(super) reached: Reached,
    pub(super) dsn: Dsn,
    pub(super) session: Session,
    pub(super) events: Events,
    memory: Memory,
    consoles: Consoles,
    gateways: Vec<Arc<dyn Access>>,
    history: Option<History>,
}

impl<'a> Tracer<'a> {
    async fn new(arguments: &'a TracePostgres, reached: Reached, dsn: Dsn, session: Session) -> anyhow::Result<Self> {
        let history = match &arguments.history {
            Some(path) => Some(History::open(path, &dsn.place(), arguments.history_size.unwrap_or(SIZE))?),
            None => None,
        };
        let consoles = Consoles::open(&arguments.pgbouncer).await?;
        let gateways = cluster::gateways(&arguments.gateway, &arguments.reach).await;
        let (events, memory) = (Events::default(), Memory::default());
        Ok(Self { arguments, reached, dsn, session, events, memory, consoles, gateways, history })
    }

    /// One look at the server, its poolers and the cluster.
    pub(super) async fn look(&mut self) -> anyhow::Result<Report> {
        let (told, known, asked) =
            tokio::join!(self.session.ask(), cluster::known(&self.reached, &mut self.memory), self.consoles.ask());
        let (told, mut known) = (told?, known?);
        let (poolers, missing) = asked;
        let ends = self.ends(&told);
        let connections = report::connections(&told, &poolers, &ends);
        let clients: HashSet<End> = connections.iter().map(|(seen, _)| seen.client).collect();
        let mut notes = missing;
        let short = if self.arguments.watch.is_some() {
            self.events.add(&self.reached, &mut known, &ends, &clients).await
        } else {
            Vec::new()
        };
        known.find(&self.reached, &connections, &self.gateways).await;
        let short = short.iter().map(|flow| known.cluster.client_of(flow)).collect();
        notes.append(&mut known.notes);
        if told.hidden > 0 {
            notes.push(format!(
                "{} connections are other roles', of which the server tells {1} nothing: GRANT pg_monitor TO {1}",
                told.hidden, told.me
            ));
        }
        let filter = Filter {
            database: self.arguments.database.clone(),
            user: self.arguments.user.clone(),
            state: self.arguments.state.clone(),
            min_idle: self.arguments.min_idle,
        };
        let server = format!("PostgreSQL {} at {}", told.version, self.dsn.place());
        let report = report::report(&told, &known.cluster, Around { server, ends, filter, poolers, short, notes });
        if let Some(history) = &mut self.history {
            history.add(&Sample::of(&report, &self.dsn.place()))?;
        }
        Ok(report)
    }

    /// Under which ends the nodes' tables know the server.
    fn ends(&self, told: &Told) -> Server {
        let own = told.address.into_iter().chain(told.dialled.iter().copied());
        let mut addresses: Vec<IpAddr> = own.chain(self.arguments.server.iter().copied()).collect();
        addresses.dedup();
        let mut ports = vec![told.port, self.dsn.port()];
        ports.dedup();
        Server { addresses, ports }
    }
}

pub(super) fn print(format: TraceFormat, report: &Report) -> anyhow::Result<()> {
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
    logged_in(dsn, async |dsn| Session::open(dsn).await).await
}

/// Connects by any means; asks for the password if there is somebody who can type it.
pub(super) async fn logged_in<T>(
    dsn: &mut Dsn,
    connect: impl AsyncFn(&Dsn) -> Result<T, PostgresError>,
) -> anyhow::Result<T> {
    match connect(dsn).await {
        Err(PostgresError::NoPassword(place)) => {
            let Some(word) = password::ask(&format!("Password for {place}: "))? else {
                return Err(PostgresError::NoPassword(place).into());
            };
            dsn.set_password(&word);
            Ok(connect(dsn).await?)
        }
        opened => Ok(opened?),
    }
}
