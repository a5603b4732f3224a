//! `shipmate trace postgres --kill`: ends chosen connections, after showing them and a yes.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::{Context as _, bail};
use doctor::text::visible;
use operate::trace::postgres::{APPLICATION, Chosen, Session};
use operate::trace::report::{Report, Traced, holder};
use operate::trace::who::Who;

use crate::cli::trace::TracePostgres;
use crate::output;

pub(super) async fn run(arguments: &TracePostgres, session: &Session, report: &Report) -> anyhow::Result<()> {
    if arguments.pods.is_empty() && arguments.idle_over.is_none() {
        bail!("--kill needs to know which connections: --pods NAMESPACE/NAME, --idle-over TIME, or both");
    }
    let chosen: Vec<&Traced> = report.connections.iter().filter(|traced| is_chosen(arguments, traced)).collect();
    if chosen.is_empty() {
        eprintln!("no connection is like that: nothing is ended");
        return Ok(());
    }
    let row = |traced: &&Traced| {
        let pod = match &traced.holder {
            Who::Pod { namespace, pod, .. } => format!("{namespace}/{pod}"),
            other => holder(other),
        };
        let idle = traced.state_seconds.map_or_else(|| "-".to_owned(), api::age::human_duration);
        vec![traced.pid.to_string(), pod, traced.user.clone(), traced.database.clone(), traced.state.clone(), idle]
    };
    let rows: Vec<Vec<String>> =
        chosen.iter().map(row).map(|cells| cells.iter().map(|cell| visible(cell)).collect()).collect();
    output::print_table(&["PID", "HELD BY", "ROLE", "DATABASE", "STATE", "SINCE"], &rows)?;
    if arguments.dry_run {
        eprintln!("{} connections would be ended", chosen.len());
        return Ok(());
    }
    if !arguments.yes && !asked(chosen.len())? {
        eprintln!("nothing is ended");
        return Ok(());
    }
    let ends: Vec<Chosen> = chosen.iter().filter_map(|traced| end(traced)).collect();
    let ended = session.terminate(&ends, arguments.idle_over).await?;
    eprintln!("{} of {} connections ended", ended.gone.len(), chosen.len());
    if !ended.left.is_empty() {
        eprintln!("{} had ended, or were at work again, before: they are left alone", ended.left.len());
    }
    let numbers = |all: &[Chosen]| all.iter().map(|one| one.pid.to_string()).collect::<Vec<_>>().join(", ");
    if !ended.slow.is_empty() {
        eprintln!("{} were told to end and are still there: {}", ended.slow.len(), numbers(&ended.slow));
    }
    for (one, why) in &ended.refused {
        eprintln!("{} could not be ended: {}", one.pid, visible(why));
    }
    if ended.refused.is_empty() {
        return Ok(());
    }
    bail!(
        "the server refused to end {} connections; a role with pg_signal_backend may end those of ordinary roles, a superuser all",
        ended.refused.len()
    )
}

fn is_chosen(arguments: &TracePostgres, traced: &Traced) -> bool {
    // Another trace that looks at the same time does not end this one, nor this one that.
    if traced.replica || matches!(traced.holder, Who::Trace) || traced.application == APPLICATION {
        return false;
    }
    let of_pods = arguments.pods.is_empty()
        || match &traced.holder {
            Who::Pod { namespace, pod, .. } => arguments.pods.contains(&format!("{namespace}/{pod}")),
            _ => false,
        };
    let idle = arguments.idle_over.is_none_or(|least| {
        traced.state.starts_with("idle") && traced.state_seconds.is_some_and(|seconds| seconds >= least)
    });
    of_pods && idle
}

/// Process ids are used again: when it began tells that it is still the same.
fn end(traced: &Traced) -> Option<Chosen> {
    Some(Chosen { pid: traced.pid, since: traced.began()? })
}

fn asked(count: usize) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("there is nobody to ask: `--yes` ends them, `--dry-run` only shows them");
    }
    eprint!("end these {count} connections? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
