//! `shipmate doctor undo`: puts back what `--fix` changed.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use operate::change::{self, Record, Store, Undone};

use super::{fix, live};
use crate::cli::doctor::{Doctor, Undo};

pub(super) async fn run(undo: &Undo, arguments: &Doctor) -> anyhow::Result<ExitCode> {
    let home = Store::of_user().context("there is no home directory: name the receipt by its path")?;
    let (store, mut receipt) = home.find(&undo.receipt)?;
    if receipt.undone {
        eprintln!("receipt {} was undone already", receipt.id);
        return Ok(ExitCode::SUCCESS);
    }
    let nodes = receipt.changes.iter().filter_map(|change| match change {
        Record::File { node, .. } => node.clone(),
        Record::Object { .. } | Record::Created { .. } => None,
    });
    let objects = receipt.changes.iter().any(|change| !matches!(change, Record::File { .. }));
    let ground = live::ground(arguments, nodes.collect(), objects).await?;
    let seen = change::undo(&mut receipt, &ground, &store, true).await?;
    tell(&seen, "will be put back");
    let any = seen.iter().any(|one| matches!(one, Undone::PutBack(_)));
    if !any {
        if seen.iter().any(|one| matches!(one, Undone::Left(..))) {
            bail!("nothing of receipt {} can be put back", receipt.id);
        }
        eprintln!("there is nothing to put back");
        return Ok(ExitCode::SUCCESS);
    }
    if undo.preview || !fix::ask(arguments, &format!("undo {}?", receipt.id))? {
        eprintln!("nothing was changed");
        return Ok(ExitCode::SUCCESS);
    }
    let done = change::undo(&mut receipt, &ground, &store, false).await?;
    tell(&done, "was put back");
    let mut units = receipt.restarted.clone();
    units.dedup();
    for unit in units {
        let on = unit.node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
        if fix::ask(arguments, &format!("restart {}{on}? Running containers go on.", unit.unit))? {
            change::restart(unit.node.as_deref(), &unit.unit, &ground, &store, &mut receipt).await?;
            eprintln!("restarted {}{on}", unit.unit);
        }
    }
    let left = done.iter().any(|one| matches!(one, Undone::Left(..)));
    Ok(if left { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn tell(undone: &[Undone], back: &str) {
    for one in undone {
        match one {
            Undone::PutBack(name) => eprintln!("{name} {back}"),
            Undone::Already(name) => eprintln!("{name} is as it was before"),
            Undone::Left(name, error) => eprintln!("{name} stays as it is: {error}"),
        }
    }
}
