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
    let steps = restore::plan(&reached.client, &files, &request).await?;
    let count = |which: fn(&Action) -> bool| steps.iter().filter(|step| which(&step.action)).count();
    let created = count(|action| matches!(action, Action::Create));
    let changed = count(|action| matches!(action, Action::Change { .. }));
    let skipped = count(|action| matches!(action, Action::Skip(_)));
    output::print(&text(&steps))?;
    let end = if skipped > 0 { ExitCode::from(IN_PART) } else { ExitCode::SUCCESS };
    eprintln!("{created} to create, {changed} to change, {skipped} can't be restored, of {} objects", steps.len());
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
    let mut failed = 0;
    let store = Store::of_user().context("there is no home directory for the receipt: set XDG_STATE_HOME")?;
    let receipt = restore::apply(&reached.client, &steps, &store, |step, done| match done {
        Ok(Done::Created) => eprintln!("created {}", step.key),
        Ok(Done::Changed) => eprintln!("changed {}", step.key),
        Ok(Done::Already) => eprintln!("{} is there already", step.key),
        Err(why) => {
            failed += 1;
            eprintln!("not restored: {}: {why}", step.key);
        }
    })
    .await?;
    eprintln!("receipt {id}: `shipmate doctor undo {id}` puts it back", id = receipt.id);
    if failed > 0 {
        bail!("{failed} objects could not be restored; restore again goes on with them");
    }
    Ok(end)
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
            Action::Nothing if step.notes.is_empty() => {}
            Action::Nothing => text.push_str(&format!("= {}\n", step.key)),
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
