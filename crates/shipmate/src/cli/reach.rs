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
    /// Reach nodes by your own OpenSSH, as this user if one is given: `--ssh`, `--ssh=admin@`.
    #[arg(long, global = true, value_name = "USER@", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(crate) ssh: Option<String>,
    /// Your OpenSSH configuration, instead of `~/.ssh/config`; implies `--ssh`.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) ssh_config: Option<PathBuf>,
    /// Run commands on nodes through `sudo -n`.
    #[arg(long, global = true)]
    pub(crate) sudo: bool,
}
