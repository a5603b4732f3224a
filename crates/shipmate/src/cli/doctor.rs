//! What can be typed after `shipmate doctor` and `shipmate explain`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::reach::Reach;

const EXIT_CODES: &str = "\
Exit codes:
  0  nothing is wrong
  1  something is wrong: there are findings of severity error or warning
  2  it could not look, or the command line makes no sense";

/// Arguments of `doctor`.
#[derive(Args, Clone)]
#[command(after_help = EXIT_CODES, subcommand_help_heading = "What to look at (everything, if not given)")]
pub(crate) struct Doctor {
    #[command(subcommand)]
    pub(crate) subject: Option<Subject>,
    #[command(flatten)]
    pub(crate) look: Look,
    #[command(flatten)]
    pub(crate) mend: Mend,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// What the doctor looks at.
#[derive(Subcommand, Clone)]
pub(crate) enum Subject {
    /// Look at one pod, and at what it depends on
    Pod(Pod),
    /// Look at nodes: runtime, kubelet, files, mounts
    Node(Node),
    /// Show what each node's containerd does to pull an image, and where it stops
    Image(Image),
    /// Look at the kubeconfig; works when nothing can be reached
    Kubeconfig,
    /// Check manifests against the schemas of a Kubernetes version
    Manifests(Manifests),
    /// Look for what would break in an upgrade
    Upgrade(Upgrade),
    /// Look at this machine as `kubeadm init` or `join` would find it
    Preflight,
    /// Look at pasted text: kubectl describe, journals, kubeadm output, configuration files
    Text(Text),
    /// Put back what `--fix` changed, unless it was changed since
    Undo(Undo),
}

/// Where evidence comes from and how findings are printed.
#[derive(Args, Clone)]
pub(crate) struct Look {
    /// Look at the evidence in this bundle; `-` reads standard input.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    /// Write the evidence to this file, for a colleague or a closed site. Secrets' values are not in it.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
    /// Print for people, as JSON, or as SARIF 2.1.0.
    #[arg(long, short = 'o', global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: ReportFormat,
    /// Look again every so many seconds, and print what changed.
    #[arg(long, global = true, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "5", value_parser = clap::value_parser!(u32).range(1..=86400), conflicts_with_all = ["from", "fix"])]
    pub(crate) watch: Option<u32>,
}

/// How findings are mended.
#[derive(Args, Clone)]
pub(crate) struct Mend {
    /// Apply the safe fixes: shows them, asks, keeps a backup and a receipt, and looks again.
    #[arg(long, global = true, conflicts_with = "from")]
    pub(crate) fix: bool,
    /// Only show what `--fix` would change.
    #[arg(long, global = true, requires = "fix")]
    pub(crate) dry_run: bool,
    /// Offer fixes that need a look as well, one by one.
    #[arg(long, global = true, requires = "fix")]
    pub(crate) review: bool,
    /// Do not ask.
    #[arg(long, short = 'y', global = true)]
    pub(crate) yes: bool,
}

/// How findings are printed.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For code scanners: SARIF 2.1.0.
    Sarif,
}

/// Arguments of `doctor pod`.
#[derive(Args, Clone)]
pub(crate) struct Pod {
    /// The pod, as `NAMESPACE/NAME`, or `NAME` in the context's namespace.
    pub(crate) pod: String,
}

/// Arguments of `doctor node`.
#[derive(Args, Clone)]
pub(crate) struct Node {
    /// The node.
    #[arg(required_unless_present = "all")]
    pub(crate) node: Option<String>,
    /// Look at all nodes.
    #[arg(long, conflicts_with = "node")]
    pub(crate) all: bool,
}

/// Arguments of `doctor image`.
#[derive(Args, Clone)]
pub(crate) struct Image {
    /// The image's reference, as pods write it.
    pub(crate) reference: String,
    /// Only this node.
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
}

/// Arguments of `doctor manifests`.
#[derive(Args, Clone)]
pub(crate) struct Manifests {
    /// Files and directories with YAML or JSON; `-` reads standard input.
    #[arg(required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// The Kubernetes version that they are for, such as `1.37`; the newest known one if not given.
    #[arg(long, value_name = "1.NN", value_parser = minor)]
    pub(crate) kubernetes: Option<u32>,
}

/// Arguments of `doctor upgrade`.
#[derive(Args, Clone)]
pub(crate) struct Upgrade {
    /// The Kubernetes version to upgrade to, such as `1.37`.
    #[arg(long, value_name = "1.NN", value_parser = minor)]
    pub(crate) to: u32,
    /// Manifests that will be applied after the upgrade.
    pub(crate) paths: Vec<PathBuf>,
}

/// Arguments of `doctor text`.
#[derive(Args, Clone)]
pub(crate) struct Text {
    /// The file; `-` reads standard input.
    #[arg(default_value = "-")]
    pub(crate) file: PathBuf,
}

/// Arguments of `doctor undo`.
#[derive(Args, Clone)]
pub(crate) struct Undo {
    /// The receipt that `--fix` named: its identifier or its path.
    pub(crate) receipt: String,
    /// Only show what would be put back.
    #[arg(long = "preview")]
    pub(crate) preview: bool,
}

/// Arguments of `explain`.
#[derive(Args, Clone)]
pub(crate) struct Explain {
    /// A code such as `SM0101`, or a cause's key; all codes if not given.
    pub(crate) code: Option<String>,
    #[command(flatten)]
    pub(crate) output: super::Output,
}

/// Reads `1.37` or `v1.37.2`.
fn minor(text: &str) -> Result<u32, String> {
    let number = text.trim_start_matches('v').strip_prefix("1.").and_then(|rest| rest.split('.').next());
    number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| "it is no Kubernetes version: write it like `1.37`".to_owned())
}
