//! What can be typed after `shipmate export`, `diff` and `restore`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use operate::export::restore::Class;

use super::Output;
use super::reach::Reach;

const EXPORT_CODES: &str = "\
Exit codes:
  0  exported
  1  not exported; the directory is as it was
  2  the command line makes no sense
  3  there is no such cluster, or it is not running
  4  exported, but some kinds could not be read; they are named
  5  exported, but git did not commit it; the message says why";

const DIFF_CODES: &str = "\
Exit codes:
  0  the cluster is as the files say
  1  it is not
  2  it could not be told for everything, or at all
  3  there is no such cluster, or it is not running";

/// Which cluster.
#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Reaching the cluster")]
pub(crate) struct Api {
    /// The kubeconfig, instead of `$KUBECONFIG` or `~/.kube/config`.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context, instead of the current one.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

impl Api {
    /// The same for whoever could reach nodes, too.
    pub(crate) fn reach(&self) -> Reach {
        Reach { kubeconfig: self.kubeconfig.clone(), context: self.context.clone(), ..Reach::default() }
    }
}

/// How files are laid out.
#[derive(Clone, Copy, Default, ValueEnum)]
pub(crate) enum Layout {
    /// NAMESPACE/KIND/NAME.yaml
    #[default]
    Tree,
    /// NAMESPACE/KIND_NAME.yaml
    Flat,
}

/// Arguments of `export`.
#[derive(Args)]
#[command(after_help = EXPORT_CODES)]
pub(crate) struct Export {
    /// A new or empty directory, or an earlier export, which is replaced in one step. What else lies in it stays.
    pub(crate) directory: PathBuf,
    /// Only these namespaces; may be given several times.
    #[arg(long, short = 'n', value_name = "NAMESPACE", value_delimiter = ',')]
    pub(crate) namespace: Vec<String>,
    /// Only these kinds, as kubectl names them, such as `deploy,configmaps,ingresses.networking.k8s.io`.
    #[arg(long, value_name = "KINDS", value_delimiter = ',', conflicts_with = "all")]
    pub(crate) kinds: Vec<String>,
    /// Also what comes by itself: objects that others own, and what servers and controllers make.
    #[arg(long)]
    pub(crate) all: bool,
    /// Only objects with these labels.
    #[arg(long, short = 'l', value_name = "SELECTOR")]
    pub(crate) selector: Option<String>,
    /// Objects as they are: all of them, with status and everything that the server keeps.
    #[arg(long)]
    pub(crate) raw: bool,
    /// What becomes of secrets' values: `omit` leaves them out, and an annotation names their keys; `age:RECIPIENT`
    /// encrypts them to somebody (may be given several times, also with a file of recipients, `age:FILE`); `plain` writes
    /// them in the clear, with `--git` only if it is said twice.
    #[arg(long, value_name = "omit|age:RECIPIENT|plain", default_value = "omit")]
    pub(crate) secrets: Vec<String>,
    /// An identity of age, which opens the digests of an earlier export that another machine made.
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// Commit what changed, with the git of this machine and its configuration, in the repository in which DIRECTORY lies;
    /// if it lies in none, it becomes one. Only files of the export are committed; what else is staged stays so. Who has no
    /// name in git's configuration commits as `Shipmate <shipmate@localhost>`.
    #[arg(long)]
    pub(crate) git: bool,
    /// How files are laid out.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) layout: Layout,
    #[command(flatten)]
    pub(crate) api: Api,
}

/// Arguments of `diff`.
#[derive(Args)]
#[command(after_help = DIFF_CODES)]
pub(crate) struct Diff {
    /// An export.
    pub(crate) directory: PathBuf,
    /// An identity of age, for values that are encrypted. On the machine that exported, none is needed.
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// Also write the comparison as a page for a browser.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) api: Api,
    #[command(flatten)]
    pub(crate) output: Output,
}

const RESTORE_CODES: &str = "\
Exit codes:
  0  the cluster is as the files say
  1  something could not be restored; the message says what and why
  2  the command line makes no sense
  3  there is no such cluster, or it is not running
  4  restored, but some objects can't be; they are named";

/// Arguments of `restore`.
#[derive(Args)]
#[command(after_help = RESTORE_CODES)]
pub(crate) struct Restore {
    /// An export.
    pub(crate) directory: PathBuf,
    /// Only these namespaces of the files, and of what all namespaces share only what they need. Shared objects are made
    /// where they are missing, and never changed.
    #[arg(long, short = 'n', value_name = "NAMESPACE", value_delimiter = ',')]
    pub(crate) namespace: Vec<String>,
    /// Restore namespace OLD of the files as NEW: references change with it; text that mentions OLD is listed. Implies
    /// `-n OLD`.
    #[arg(long, value_name = "OLD=NEW", value_delimiter = ',', value_parser = pair)]
    pub(crate) into: Vec<(String, String)>,
    /// Use another class where this cluster has not the one in the files: `storage/fast=standard`; also `ingress/`,
    /// `priority/`, `runtime/`.
    #[arg(long, value_name = "KIND/OLD=NEW", value_delimiter = ',', value_parser = class)]
    pub(crate) class: Vec<((Class, String), String)>,
    /// An identity of age, for values that are encrypted. They are decrypted in memory only.
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// Only show what would be done.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask.
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) api: Api,
}

/// `OLD=NEW`
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((old, new)) if !old.is_empty() && !new.is_empty() => Ok((old.to_owned(), new.to_owned())),
        _ => Err("it is written OLD=NEW".to_owned()),
    }
}

/// `KIND/OLD=NEW`
fn class(text: &str) -> Result<((Class, String), String), String> {
    let (kind, names) = text.split_once('/').ok_or("it is written KIND/OLD=NEW, such as storage/fast=standard")?;
    let (old, new) = pair(names)?;
    Ok(((kind.parse()?, old), new))
}
