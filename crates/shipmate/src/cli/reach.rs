//! How a cluster and its nodes are reached: options that all commands on real clusters share.

use std::path::PathBuf;

use clap::Args;

/// Which cluster, and the way onto its nodes.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Reaching the cluster")]
pub(crate) struct Reach {
    /// The kubeconfig, instead of `$KUBECONFIG` or `~/.kube/config`.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The context, instead of the current one.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Look at the nodes too, through your own OpenSSH: as the user that its configuration says, or as this one. Nothing
    /// is installed there. Nodes of a sandbox are looked at without it.
    #[arg(long, global = true, value_name = "USER@", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(crate) ssh: Option<String>,
    /// With `--ssh`: the configuration file for OpenSSH, instead of yours.
    #[arg(long, global = true, value_name = "FILE", requires = "ssh")]
    pub(crate) ssh_config: Option<PathBuf>,
    /// With `--ssh`: run commands through `sudo -n` there.
    #[arg(long, global = true, requires = "ssh")]
    pub(crate) sudo: bool,
    /// This machine is that node.
    #[arg(long, global = true, value_name = "NODE")]
    pub(crate) local: Option<String>,
}
