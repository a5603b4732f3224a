//! `shipmate delete`.

use sandbox::layout::{Home, Name};
use sandbox::{Sandbox, kubeconfig};

use super::NotRunning;
use super::launch::Progress;
use crate::cli::Delete;

pub(crate) fn run(arguments: &Delete) -> anyhow::Result<()> {
    let home = Home::from_env()?;
    if !arguments.all {
        let name: Name = arguments.which.name.parse()?;
        return match delete(&home, &name)? {
            true => Ok(()),
            false => Err(NotRunning::Absent(name).into()),
        };
    }
    for name in home.clusters()? {
        delete(&home, &name)?;
    }
    Ok(())
}

/// Whether there was such a cluster.
fn delete(home: &Home, name: &Name) -> anyhow::Result<bool> {
    let Some(sandbox) = Sandbox::open_to_delete(home, name)? else { return Ok(false) };
    let progress = Progress::new(&format!("deleting cluster {name}"));
    sandbox.delete(&kubeconfig::files()?)?;
    progress.done(&format!("cluster {name} is deleted"));
    Ok(true)
}
