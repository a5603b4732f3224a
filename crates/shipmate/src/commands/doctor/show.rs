//! Findings on stdout: for people, as JSON, as SARIF.

use std::io::{self, IsTerminal as _};

use doctor::render::{self, Look};
use doctor::{Evidence, Report};

use crate::cli::doctor::ReportFormat;
use crate::output;

/// Width of what is no terminal: a pipe, a file.
const WIDTH: usize = 120;

/// Prints a report.
pub(super) fn report(format: ReportFormat, evidence: &Evidence, report: &Report) -> anyhow::Result<()> {
    match format {
        ReportFormat::Text => output::print(&render::text(evidence, report, look())),
        ReportFormat::Json => output::print_json(&render::json(evidence, report)),
        ReportFormat::Sarif => output::print_json(&render::sarif(evidence, report, env!("CARGO_PKG_VERSION"))),
    }
}

/// How text is laid out on stdout.
fn look() -> Look {
    laid_out(io::stdout().is_terminal())
}

/// How text is laid out on stderr.
pub(super) fn look_at_stderr() -> Look {
    laid_out(io::stderr().is_terminal())
}

/// Colours on a terminal only, and never against `NO_COLOR`.
fn laid_out(terminal: bool) -> Look {
    let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    let width = if terminal { terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)) } else { None };
    Look { colours: terminal && !forbidden && !dumb, width: width.unwrap_or(WIDTH) }
}
