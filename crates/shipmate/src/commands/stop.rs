//! `shipmate stop`.

use std::time::Duration;

use sandbox::Sandbox;
use sandbox::layout::{Home, Name};

use super::NotRunning;
use super::launch::Progress;
use crate::cli::Which;

/// How long containers may take to end by themselves.
const GRACE: Duration = Duration::from_secs(10);

pub(crate) fn run(which: &Which) -> anyhow::Result<()> {
    let name: Name = which.name.parse()?;
    let Some(sandbox) = Sandbox::open(&Home::from_env()?, &name)? else {
        return Err(NotRunning::Absent(name).into());
    };
    let progress = Progress::new(&format!("stopping cluster {name}"));
    sandbox.stop(GRACE)?;
    progress.done(&format!("cluster {name} is stopped; its objects and data are kept"));
    Ok(())
}
