//! `shipmate kubectl`: the user's kubectl on this cluster, whatever the current context is.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::Context as _;

use super::find_running;
use crate::cli::Kubectl;

pub(crate) fn run(arguments: &Kubectl) -> anyhow::Result<ExitCode> {
    let cluster = find_running(&arguments.which)?;
    let kubectl = sandbox::command::find("kubectl").context(
        "kubectl is not installed: `cargo xtask up` installs one, or take it from your distribution or Kubernetes' releases",
    )?;
    let path = cluster.dir().path().join("admin.kubeconfig");
    let mut file = tempfile(&path)?;
    writeln!(file, "{}", crate::client::kubeconfig(&cluster.access()?))
        .with_context(|| format!("write {}", path.display()))?;
    // Only returns when it could not be started.
    let error = Command::new(kubectl).args(&arguments.arguments).env("KUBECONFIG", &path).exec();
    Err(error).context("start kubectl")
}

/// A file for the owner alone.
fn tempfile(path: &std::path::Path) -> anyhow::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).with_context(|| format!("write {}", path.display()))
}
