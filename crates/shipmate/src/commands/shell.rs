//! `shipmate shell`: a shell in the namespaces of a node, where its containerd, pods and rules are to be seen.

use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};

use super::{NotRunning, find};
use crate::cli::Shell;

pub(crate) fn run(arguments: &Shell) -> anyhow::Result<ExitCode> {
    let cluster = find(&arguments.which)?;
    let nodes = cluster.nodes();
    let Some(node) = nodes.iter().find(|node| node.config().name.as_str() == arguments.node) else {
        bail!("cluster {} has no node {}: `kubectl get nodes` lists them", cluster.config().name, arguments.node);
    };
    let Some(namespaces) = node.namespaces()? else {
        return Err(NotRunning::Stopped(cluster.config().name.clone()).into());
    };
    let mut command = match arguments.command.split_first() {
        Some((program, rest)) => {
            let mut command = Command::new(program);
            command.args(rest);
            command
        }
        None => Command::new(std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into())),
    };
    command
        .env("CONTAINERD_ADDRESS", node.dir().cri_socket())
        .env("CONTAINERD_NAMESPACE", cri::NAMESPACE)
        .env("CONTAINER_RUNTIME_ENDPOINT", format!("unix://{}", node.dir().cri_socket().display()));
    let mut child = namespaces.spawn(command).context("start the command on the node")?;
    let status = child.wait().context("wait for the command")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code))
}
