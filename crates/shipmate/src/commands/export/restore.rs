//! `shipmate restore`: shows what it would do, asks, does it.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use operate::change::Store;
use operate::export::restore::{self, Action, Done, Mapping, Request, Step};
use operate::export::secrets;

use super::{IN_PART, diff};
use crate::cli::export::Restore;
use crate::output;
use crate::reach;

pub(super) async fn run(arguments: &Restore) -> anyhow::Result<ExitCode> {
    let mut files = operate::export::read(&arguments.directory)?;
    let access = super::secrets::access(&arguments.identity)?;
    let reached = reach::connect(&arguments.api.reach()).await?;
    let request = Request {
        namespaces: arguments.namespace.iter().cloned().collect(),
        mapping: Mapping {
            namespaces: arguments.into.iter().cloned().collect(),
            classes: arguments.class.iter().cloned().collect(),
        },
    };
    if secrets::count(&files, |namespace| request.concerns(namespace)) > 0 {
        secrets::decrypt(&mut files, &access)?;
    }
    let bar = super::bar();
    let steps = restore::plan(&reached.client, files, &request, |objects| super::count(&bar, objects)).await;
    bar.finish_and_clear();
    let steps = steps?;
    let count = |which: fn(&Action) -> bool| steps.iter().filter(|step| which(&step.action)).count();
    let created = count(|action| matches!(action, Action::Create));
    let changed = count(|action| matches!(action, Action::Change { .. }));
    let skipped = count(|action| matches!(action, Action::Skip(_)));
    output::print(&text(&steps))?;
    let end = if skipped > 0 { ExitCode::from(IN_PART) } else { ExitCode::SUCCESS };
    let left = count(|action| matches!(action, Action::Leave(_)));
    let by_itself = if left > 0 { format!(", {left} come by themselves") } else { String::new() };
    let all = steps.len();
    eprintln!("{created} to create, {changed} to change, {skipped} can't be restored{by_itself}, of {all} objects");
    if created + changed == 0 {
        return Ok(end);
    }
    if arguments.dry_run {
        eprintln!("nothing was changed (--dry-run)");
        return Ok(end);
    }
    if !arguments.yes && !ask(&reached.server)? {
        eprintln!("nothing was changed");
        return Ok(end);
    }
    let failed = carry_out(&reached.client, &steps).await?;
    if failed > 0 {
        eprintln!("{failed} objects could not be restored; restore again goes on with them");
        return Ok(ExitCode::from(IN_PART));
    }
    Ok(end)
}

/// Does it; how many objects could not be restored.
async fn carry_out(client: &kube::Client, steps: &[Step]) -> anyhow::Result<usize> {
    let mut failed = 0;
    let store = Store::of_user().context("there is no home directory for the receipt: set XDG_STATE_HOME")?;
    let mut receipt = store.open()?;
    let id = receipt.id.clone();
    eprintln!("receipt {id}: `shipmate doctor undo {id}` puts back what was done, also after an interruption");
    let bar = super::bar();
    bar.set_length(u64::try_from(steps.iter().filter(|step| step.is_work()).count()).unwrap_or(u64::MAX));
    let told = |step: &Step, done: Result<Done, String>| {
        bar.inc(1);
        let words = match done {
            Ok(Done::Created) => format!("created {}", step.key),
            Ok(Done::Changed) => format!("changed {}", step.key),
            Ok(Done::Already) => format!("{} is there already", step.key),
            Err(why) => {
                failed += 1;
                format!("not restored: {}: {why}", step.key)
            }
        };
        bar.suspend(|| eprintln!("{words}"));
    };
    let done = restore::apply(client, steps, &store, &mut receipt, told).await;
    bar.finish_and_clear();
    done?;
    Ok(failed)
}

/// The plan, in the order in which it is done.
fn text(steps: &[Step]) -> String {
    let mut text = String::new();
    for step in steps {
        match &step.action {
            Action::Create => text.push_str(&format!("+ {}\n", step.key)),
            Action::Change { differences, .. } => {
                text.push_str(&format!("~ {}\n", step.key));
                differences.iter().for_each(|one| diff::back(&mut text, one));
            }
            Action::Skip(why) => text.push_str(&format!("! {}: {why}\n", step.key)),
            Action::Nothing | Action::Leave(_) if step.notes.is_empty() => {}
            Action::Nothing | Action::Leave(_) => text.push_str(&format!("= {}\n", step.key)),
        }
        for note in &step.notes {
            text.push_str(&format!("    note: {note}\n"));
        }
        if let Some(why) = &step.refusal {
            text.push_str(&format!("    the server would refuse this: {why}\n"));
        }
    }
    text
}

fn ask(server: &str) -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("there is nobody to ask: `--yes` restores, `--dry-run` only shows it");
    }
    eprint!("restore this to {server}? [y/N] ");
    io::stderr().flush().context("ask")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("read the answer")?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
