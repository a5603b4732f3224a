//! The binary: reads the command line, does what it says, and turns errors into messages and exit codes.
//!
//! Data goes to stdout, everything for people to stderr. Exit codes are listed in `shipmate --help`.

mod cli;
mod client;
mod commands;
mod drill;
mod nodes;
mod output;
mod process;
mod reach;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};

/// Exit code when there is no such cluster, or it does not run.
const NO_CLUSTER: u8 = 3;

fn main() -> ExitCode {
    // Two TLS libraries could be chosen by rustls; a binary has to say which, once.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        unreachable!("nothing ran before that could have installed a provider");
    }
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            let absent = error.chain().any(|cause| cause.is::<commands::NotRunning>());
            ExitCode::from(if absent { NO_CLUSTER } else { 1 })
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Start(arguments) => commands::start::run(&arguments)?,
        Command::Stop(which) => commands::stop::run(&which)?,
        Command::Restart(arguments) => commands::restart::run(&arguments)?,
        Command::Delete(arguments) => commands::delete::run(&arguments)?,
        Command::Status(arguments) => commands::status::run(&arguments)?,
        Command::Ip(arguments) => commands::ip::run(&arguments)?,
        Command::Logs(arguments) => commands::logs::run(&arguments)?,
        Command::Service(arguments) => commands::service::run(&arguments)?,
        Command::Image(arguments) => return commands::image::run(&arguments),
        Command::Doctor(arguments) => return commands::doctor::run(&arguments),
        Command::Trace(arguments) => return commands::trace::run(&arguments),
        Command::Explain(arguments) => commands::explain::run(&arguments)?,
        Command::Export(arguments) => return commands::export::export(&arguments),
        Command::Diff(arguments) => return commands::export::diff(&arguments),
        Command::Restore(arguments) => return commands::export::restore(&arguments),
        Command::Kubectl(arguments) => return commands::kubectl::run(&arguments),
        Command::Shell(arguments) => return commands::shell::run(&arguments),
        Command::Drill(arguments) => return commands::drill::run(&arguments),
        Command::Completions(arguments) => commands::completions::run(&arguments)?,
        Command::Server(arguments) => process::server::run(&arguments)?,
        Command::Node(arguments) => process::node::run(&arguments)?,
    }
    Ok(ExitCode::SUCCESS)
}
