//! `shipmate doctor --watch`: looks again and again, and prints what changed.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use doctor::{Evidence, Report};

use super::{look, show, verdict};
use crate::cli::doctor::{Doctor, ReportFormat};
use crate::output;

/// Looks until the user ends it; the exit code is that of the last look.
pub(super) async fn run(arguments: &Doctor, seconds: u32) -> anyhow::Result<ExitCode> {
    let mut before: Option<BTreeMap<String, String>> = None;
    let mut code = ExitCode::SUCCESS;
    let mut ticks = tokio::time::interval(Duration::from_secs(u64::from(seconds)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            ended = tokio::signal::ctrl_c() => {
                ended?;
                return Ok(code);
            }
        }
        let looked = tokio::select! {
            looked = look(arguments) => looked,
            ended = tokio::signal::ctrl_c() => {
                ended?;
                return Ok(code);
            }
        };
        match looked {
            Ok(seen) => {
                let report = doctor::examine(&seen.evidence);
                code = verdict(&seen.evidence, &report).unwrap_or(ExitCode::from(super::COULD_NOT_LOOK));
                let now = titles(&seen.evidence, &report);
                if before.as_ref() != Some(&now) {
                    tell(arguments.look.output, before.as_ref(), &now, &seen.evidence, &report)?;
                    before = Some(now);
                }
            }
            Err(error) => {
                code = ExitCode::from(super::COULD_NOT_LOOK);
                eprintln!("error: {error:#}");
                before = None;
            }
        }
    }
}

/// What there is to tell of, by what makes it the same from one look to the next.
fn titles(evidence: &Evidence, report: &Report) -> BTreeMap<String, String> {
    let one = |finding: &doctor::Finding| {
        let place = doctor::render::place(evidence, &finding.place);
        (format!("{} {place}", finding.code), format!("[{}] {} ({place})", finding.code, finding.title))
    };
    report.findings.iter().map(one).collect()
}

fn tell(
    format: ReportFormat,
    before: Option<&BTreeMap<String, String>>,
    now: &BTreeMap<String, String>,
    evidence: &Evidence,
    report: &Report,
) -> anyhow::Result<()> {
    if format == ReportFormat::Json {
        // One line for each change, for programs that read lines.
        let mut line = serde_json::to_string(&doctor::render::json(evidence, report))?;
        line.push('\n');
        return output::print(&line);
    }
    eprintln!("-- {}", jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S"));
    for (key, gone) in before.into_iter().flatten() {
        if !now.contains_key(key) {
            output::print(&format!("gone: {gone}\n"))?;
        }
    }
    show::report(format, evidence, report)
}
