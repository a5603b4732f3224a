//! Measures a built `shipmate` from outside, as its users see it: commands, the API, the processes' memory.
//!
//! Every figure stands beside a floor or a peer that was measured in the same run on the same machine, because a figure
//! alone says more about the machine than about the program. Deliberately absent: passing and failing. A benchmark that
//! asserts is a test that depends on the neighbours.

mod cluster;
mod containerd;
mod doctor;
mod idle;
mod list;
mod load;
mod machine;
mod pod;
mod report;
mod resources;
mod samples;
mod scale;
mod size;
mod start;
mod trace;
mod watchers;
mod writes;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Parser;

use crate::report::{Report, Style};

/// Measures a built shipmate; figures go to stdout.
#[derive(Parser)]
struct Arguments {
    /// The program to measure.
    #[arg(long, value_name = "FILE")]
    shipmate: PathBuf,
    /// Print Markdown.
    #[arg(long)]
    markdown: bool,
    /// What to measure; everything if not given.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// Every benchmark, in the order in which they run: those that need a quiet machine first.
const NAMES: &[&str] = &["size", "start", "pod", "idle", "doctor", "trace", "scale", "writes", "list"];

fn main() -> anyhow::Result<()> {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        bail!("another TLS provider was installed first");
    }
    let arguments = Arguments::parse();
    let names: Vec<&str> = match arguments.names.as_slice() {
        [] => NAMES.to_vec(),
        names => names.iter().map(String::as_str).collect(),
    };
    if let Some(unknown) = names.iter().find(|name| !NAMES.contains(name)) {
        bail!("no benchmark is called {unknown}; there are {}", NAMES.join(", "));
    }
    let shipmate = arguments.shipmate.canonicalize();
    let shipmate = shipmate.with_context(|| format!("find {}", arguments.shipmate.display()))?;
    machine::raise_open_files();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let report = Report::new(if arguments.markdown { Style::Markdown } else { Style::Text });
        report.head(&machine::describe(&shipmate));
        for name in names {
            eprintln!("measuring {name}");
            // Whoever interrupts gets the machine back clean: clusters delete themselves when they are dropped.
            tokio::select! {
                done = measure(name, &shipmate, &report) => done.with_context(|| format!("benchmark {name}"))?,
                _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            }
        }
        Ok(())
    })
}

async fn measure(name: &str, shipmate: &Path, report: &Report) -> anyhow::Result<()> {
    match name {
        "doctor" => doctor::measure(shipmate, report),
        "trace" => trace::measure(shipmate, report),
        "size" => size::measure(shipmate, report),
        "start" => start::measure(shipmate, report).await,
        "pod" => pod::measure(shipmate, report).await,
        "idle" => idle::measure(shipmate, report).await,
        "scale" => scale::measure(shipmate, report).await,
        "writes" => writes::measure(shipmate, report).await,
        "list" => list::measure(shipmate, report).await,
        _ => bail!("no benchmark is called {name}"),
    }
}
