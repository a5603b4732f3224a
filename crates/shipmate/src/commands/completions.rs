//! `shipmate completions`.

use clap::CommandFactory as _;

use crate::cli::{Cli, Completions};

pub(crate) fn run(arguments: &Completions) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "shipmate", &mut script);
    crate::output::print(&String::from_utf8(script)?)
}
