//! What can be typed: commands, their options and their help.

pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod reach;
pub(crate) mod seed;
pub(crate) mod trace;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  it could not be done; the message says why and what to do
  2  the command line makes no sense
  3  there is no such cluster, or it is not running";

/// A Kubernetes cluster on this machine, in about a second.
#[derive(Parser)]
#[command(name = "shipmate", version, after_help = EXIT_CODES, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which cluster a command is about.
#[derive(Args, Clone)]
pub(crate) struct Which {
    /// Name of the cluster, and of its kubectl context.
    #[arg(long, short = 'n', default_value = "shipmate", value_name = "NAME")]
    pub(crate) name: String,
}

/// How data is printed.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// How data is printed.
#[derive(Args, Clone, Copy)]
pub(crate) struct Output {
    /// Print for people or as JSON.
    #[arg(long, short = 'o', value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Format,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Start a cluster; create it if there is none of that name
    Start(Start),
    /// Stop a cluster; its objects and data are kept
    Stop(Which),
    /// Restart a node's containerd, after a change of its configuration
    Restart(Restart),
    /// Delete a cluster and everything that it made
    Delete(Delete),
    /// Show what runs
    Status(Status),
    /// Print the address of a node
    Ip(Ip),
    /// Print the log of a process of the cluster
    Logs(Logs),
    /// List services, or print the URLs of one
    Service(Service),
    /// Load, list and remove images on the nodes
    #[command(subcommand)]
    Image(Image),
    /// Find what is wrong, where, and how it is mended
    Doctor(Box<doctor::Doctor>),
    /// Name the pods behind a server's connections
    #[command(subcommand)]
    Trace(trace::Trace),
    /// Explain a code that `doctor` printed
    Explain(doctor::Explain),
    /// Write the objects of any cluster to files, clean
    Export(Box<export::Export>),
    /// Compare a cluster with an export, field by field
    Diff(export::Diff),
    /// Bring objects back from an export
    Restore(export::Restore),
    /// Run kubectl on the cluster
    Kubectl(Kubectl),
    /// Open a shell, or run a command, on a node
    Shell(Shell),
    /// Practise on a known incident
    Drill(Drill),
    /// Print a completion script for a shell
    Completions(Completions),
    /// Run the API server and controllers (started by `start`)
    #[command(hide = true)]
    Server(Process),
    /// Run a node's kubelet, service proxy and DNS (started by `start`)
    #[command(hide = true)]
    Node(NodeProcess),
}

/// Arguments of `start`.
#[derive(Args)]
pub(crate) struct Start {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Nodes of a new cluster: a number, or `simulated:N` for nodes without containers.
    #[arg(long, default_value = None, value_name = "N|simulated:N")]
    pub(crate) nodes: Option<String>,
    /// Deploy the sample web application.
    #[arg(long)]
    pub(crate) sample: bool,
}

/// Arguments of `drill`.
#[derive(Args)]
pub(crate) struct Drill {
    /// Name of the drill's own cluster, and of its kubectl context.
    #[arg(long, short = 'n', default_value = "drill", value_name = "NAME", global = true)]
    pub(crate) name: String,
    #[command(subcommand)]
    pub(crate) command: DrillCommand,
}

#[derive(Subcommand)]
pub(crate) enum DrillCommand {
    /// List the drills
    List {
        #[command(flatten)]
        output: Output,
    },
    /// Start a cluster of two nodes, break something in it, and tell what a user would see
    Start {
        /// Name of the drill.
        drill: String,
    },
    /// Give a hint; the next one, each time
    Hint,
    /// Tell whether it is mended: exit code 0 when it is, 1 when it is not
    Check,
    /// Mend it, and tell each step
    Solve,
    /// End the drill and delete its cluster
    Reset,
}

/// Arguments of `restart`.
#[derive(Args)]
pub(crate) struct Restart {
    #[command(flatten)]
    pub(crate) which: Which,
    /// The node.
    pub(crate) node: String,
}

/// Arguments of `delete`.
#[derive(Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Delete all clusters.
    #[arg(long, conflicts_with = "name")]
    pub(crate) all: bool,
}

/// Arguments of `status`.
#[derive(Args)]
pub(crate) struct Status {
    /// Name of the cluster; all clusters if not given.
    #[arg(long, short = 'n', value_name = "NAME")]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Arguments of `ip`.
#[derive(Args)]
pub(crate) struct Ip {
    #[command(flatten)]
    pub(crate) which: Which,
    /// The node; the first if not given.
    pub(crate) node: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Arguments of `logs`.
#[derive(Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    pub(crate) which: Which,
    /// The node; the API server if not given.
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    /// With `--node`: its containerd instead of its kubelet.
    #[arg(long, requires = "node")]
    pub(crate) containerd: bool,
    /// Go on printing as the log grows.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Print at most this many of the last lines.
    #[arg(long, value_name = "LINES", default_value_t = 100)]
    pub(crate) tail: usize,
}

/// Arguments of `service`.
#[derive(Args)]
pub(crate) struct Service {
    #[command(flatten)]
    pub(crate) which: Which,
    /// The service, as `NAME` or `NAMESPACE/NAME`; all services if not given.
    pub(crate) service: Option<String>,
    /// Print URLs only.
    #[arg(long)]
    pub(crate) url: bool,
    #[command(flatten)]
    pub(crate) output: Output,
}

#[derive(Subcommand)]
pub(crate) enum Image {
    /// Load images from an archive (OCI layout or `docker save`) into every node
    Load(ImageLoad),
    /// List the images on the nodes
    Ls(ImageList),
    /// Remove an image from every node
    Rm(ImageRemove),
    /// Stage an image into the nodes of any cluster: they need not pull it
    Seed(Box<seed::ImageSeed>),
    /// List what was staged where, and whether the tag has moved since
    Seeded(Box<seed::ImageSeeded>),
    /// Take out of the nodes exactly what `image seed` put in
    Unseed(Box<seed::ImageUnseed>),
}

/// Arguments of `image load`.
#[derive(Args)]
pub(crate) struct ImageLoad {
    #[command(flatten)]
    pub(crate) which: Which,
    /// The archive; `-` reads standard input.
    pub(crate) archive: PathBuf,
    /// Load it into this node only.
    #[arg(long, value_name = "NODE")]
    pub(crate) node: Option<String>,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Arguments of `image ls`.
#[derive(Args)]
pub(crate) struct ImageList {
    #[command(flatten)]
    pub(crate) which: Which,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Arguments of `image rm`.
#[derive(Args)]
pub(crate) struct ImageRemove {
    #[command(flatten)]
    pub(crate) which: Which,
    /// The image's reference.
    pub(crate) reference: String,
}

/// Arguments of `kubectl`.
#[derive(Args)]
pub(crate) struct Kubectl {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Arguments for kubectl.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
}

/// Arguments of `shell`.
#[derive(Args)]
pub(crate) struct Shell {
    #[command(flatten)]
    pub(crate) which: Which,
    /// The node.
    pub(crate) node: String,
    /// Command to run instead of a shell.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) command: Vec<String>,
}

/// Arguments of `completions`.
#[derive(Args)]
pub(crate) struct Completions {
    /// The shell.
    pub(crate) shell: clap_complete::Shell,
}

/// Arguments of the server process.
#[derive(Args)]
pub(crate) struct Process {
    /// Directory of the cluster.
    #[arg(long, value_name = "DIR")]
    pub(crate) cluster: PathBuf,
}

/// Arguments of a node's process.
#[derive(Args)]
pub(crate) struct NodeProcess {
    /// Its configuration file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}
