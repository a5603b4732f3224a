//! `shipmate trace history`: what `--history` has written, as a chart.

use std::io::IsTerminal as _;

use anyhow::{Context as _, bail};
use operate::trace::chart::Chart;
use operate::trace::history;

use crate::cli::Format;
use crate::cli::trace::TraceHistory;
use crate::output;

/// Columns where no terminal says how many it has.
const WIDTH: usize = 100;

pub(super) fn show(arguments: &TraceHistory) -> anyhow::Result<()> {
    let mut samples = history::read(&arguments.file)?;
    if let Some(seconds) = arguments.last {
        let from = samples.iter().map(|sample| sample.time).max().unwrap_or_default().saturating_sub(seconds);
        samples.retain(|sample| sample.time >= from);
    }
    if arguments.output.output == Format::Json {
        return output::print_json(&samples);
    }
    let Some(chart) = Chart::of(samples) else {
        bail!(
            "{} holds no samples yet: `shipmate trace postgres --watch --history FILE` adds some",
            arguments.file.display()
        );
    };
    if let Some(path) = &arguments.svg {
        if path.as_os_str() == "-" {
            return output::print(&chart.svg());
        }
        return std::fs::write(path, chart.svg()).with_context(|| format!("write {}", path.display()));
    }
    let terminal = std::io::stdout().is_terminal().then(terminal_size::terminal_size).flatten();
    output::print(&chart.text(terminal.map_or(WIDTH, |(width, _)| width.0.into())))
}
