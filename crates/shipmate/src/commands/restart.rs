//! `shipmate restart`: a node's containerd reads its configuration again.

use sandbox::Sandbox;
use sandbox::layout::{Home, Name};

use super::launch::Progress;
use super::{NotRunning, find_running};
use crate::cli::Restart;

pub(crate) fn run(arguments: &Restart) -> anyhow::Result<()> {
    find_running(&arguments.which)?;
    let name: Name = arguments.which.name.parse()?;
    let Some(sandbox) = Sandbox::open(&Home::from_env()?, &name)? else {
        return Err(NotRunning::Absent(name).into());
    };
    let node = &arguments.node;
    let progress = Progress::new(&format!("restarting the containerd of {node}"));
    sandbox.restart_containerd(node)?;
    progress
        .done(&format!("the containerd of {node} runs with its present configuration; containers went on meanwhile"));
    Ok(())
}
