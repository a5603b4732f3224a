//! What can be typed after `shipmate image seed`, `seeded` and `unseed`.

use std::path::PathBuf;

use clap::Args;

use super::Output;
use super::reach::Reach;

const EXIT_CODES: &str = "\
Exit codes:
  0  done on every node
  1  not done on some node, or at all; the message says why and what to do
  2  the command line makes no sense
  3  there is no such cluster, or it is not running";

/// How a registry is asked.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Asking the registry")]
pub(crate) struct Ask {
    /// The registry's user; the password comes by `--password-stdin`.
    #[arg(long, short = 'u', value_name = "USER", requires = "password_stdin", conflicts_with = "pull_secret")]
    pub(crate) user: Option<String>,
    /// Read the password from standard input, so that nobody sees it in the list of processes.
    #[arg(long, requires = "user")]
    pub(crate) password_stdin: bool,
    /// Use the credentials of this pull secret of the cluster.
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub(crate) pull_secret: Option<String>,
    /// Ask by http instead of https.
    #[arg(long)]
    pub(crate) plain_http: bool,
    /// Trust this certificate authority (PEM) too.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
}

/// Arguments of `image seed`.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ImageSeed {
    /// The image's reference, as pods write it.
    pub(crate) reference: String,
    /// Only nodes with these labels, such as `pool=web`; every node that takes ordinary pods, if not given.
    #[arg(long, value_name = "SELECTOR")]
    pub(crate) nodes: Option<String>,
    /// Take the image from this archive (OCI layout or `docker save`) instead of its registry; `-` reads standard input.
    #[arg(long, value_name = "ARCHIVE", conflicts_with_all = ["user", "pull_secret", "plain_http", "ca_file"])]
    pub(crate) from: Option<PathBuf>,
    /// Offer to patch workloads that would still pull the image.
    #[arg(long)]
    pub(crate) patch_policy: bool,
    /// Do not ask.
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    /// Only show what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) ask: Ask,
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Arguments of `image seeded`.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ImageSeeded {
    /// Only this image.
    pub(crate) reference: Option<String>,
    /// Ask neither nodes nor registries: only what the receipts say.
    #[arg(long)]
    pub(crate) offline: bool,
    #[command(flatten)]
    pub(crate) ask: Ask,
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Arguments of `image unseed`.
#[derive(Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct ImageUnseed {
    /// The image's reference.
    pub(crate) reference: String,
    /// Only show what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) reach: Reach,
    #[command(flatten)]
    pub(crate) output: Output,
}
