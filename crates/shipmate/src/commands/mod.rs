//! One file for each command.

pub(crate) mod completions;
pub(crate) mod delete;
pub(crate) mod doctor;
pub(crate) mod drill;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod image;
pub(crate) mod ip;
pub(crate) mod kubectl;
mod launch;
pub(crate) mod logs;
pub(crate) mod restart;
mod sample;
pub(crate) mod seed;
pub(crate) mod service;
pub(crate) mod shell;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod trace;

use sandbox::Cluster;
use sandbox::layout::{Home, Name};

use crate::cli::Which;

/// There is no such cluster, or it does not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRunning {
    /// No cluster has this name.
    #[error(
        "there is no cluster {0}: `shipmate start --name {0}` creates it, `shipmate status` lists those that exist"
    )]
    Absent(Name),
    /// It is stopped.
    #[error("cluster {0} is not running: `shipmate start --name {0}` starts it")]
    Stopped(Name),
}

/// Finds an existing cluster.
fn find(which: &Which) -> anyhow::Result<Cluster> {
    let name: Name = which.name.parse()?;
    Cluster::find(&Home::from_env()?, &name)?.ok_or_else(|| NotRunning::Absent(name).into())
}

/// Finds an existing cluster whose server runs.
fn find_running(which: &Which) -> anyhow::Result<Cluster> {
    let cluster = find(which)?;
    if cluster.status().server.is_none() {
        return Err(NotRunning::Stopped(cluster.config().name.clone()).into());
    }
    Ok(cluster)
}
