//! `shipmate trace`: whose connection is this?

mod cluster;
mod csv;
mod history;
mod kill;
mod links;
mod password;
mod poolers;
mod postgres;
mod show;
mod watch;

use std::process::ExitCode;

use crate::cli::trace::Trace;

pub(crate) fn run(trace: &Trace) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match trace {
        Trace::Postgres(arguments) => runtime.block_on(postgres::run(arguments))?,
        Trace::Tcp(arguments) => runtime.block_on(links::tcp(arguments))?,
        Trace::Pod(arguments) => runtime.block_on(links::pod(arguments))?,
        Trace::History(arguments) => history::show(arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}
