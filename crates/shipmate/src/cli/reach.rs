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
}
