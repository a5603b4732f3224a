//! `shipmate image seed`, `seeded` and `unseed`: images staged into the nodes of any cluster.
//!
//! Here is what a person sees: options, progress, tables, questions. What is done on nodes is `operate::seed`'s.

mod bars;
mod credentials;
mod list;
mod policy;
mod stage;
mod unstage;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use cri::import::Platform;
use operate::seed::{Receipts, Target, USUAL_SOCKETS};
use sandbox::layout::Home;

use crate::cli::seed::{ImageSeed, ImageSeeded, ImageUnseed};
use crate::reach::{KnownNode, Reached};

pub(crate) fn seed(arguments: &ImageSeed) -> anyhow::Result<ExitCode> {
    on_runtime(stage::run(arguments))
}

pub(crate) fn seeded(arguments: &ImageSeeded) -> anyhow::Result<ExitCode> {
    on_runtime(list::run(arguments))
}

pub(crate) fn unseed(arguments: &ImageUnseed) -> anyhow::Result<ExitCode> {
    on_runtime(unstage::run(arguments))
}

fn on_runtime(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("start a runtime")?;
    runtime.block_on(work)
}

/// Where this user's receipts and half pulled images are. What is about a sandbox lies in the sandbox's own directory,
/// and goes with it.
fn state(reached: &Reached) -> anyhow::Result<PathBuf> {
    match &reached.sandbox {
        Some(cluster) => Ok(cluster.dir().path().to_owned()),
        None => Ok(Home::from_env()?.path().to_owned()),
    }
}

/// The receipts about a cluster.
fn receipts(reached: &Reached) -> anyhow::Result<Receipts> {
    Ok(Receipts::at(state(reached)?.join("seeds")))
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Nodes that can be reached, and why the others can't.
struct Ways {
    targets: Vec<Target>,
    without: Vec<(String, String)>,
}

async fn ways(reached: &Reached, nodes: &[KnownNode]) -> Ways {
    let mut ways = Ways { targets: Vec::new(), without: Vec::new() };
    for node in nodes {
        if node.info("operatingSystem") == "windows" {
            ways.without.push((node.name.clone(), "it runs Windows, whose containerd is not reached".to_owned()));
            continue;
        }
        match reached.access(node).await {
            Ok(access) => {
                ways.targets.push(Target { sockets: sockets(node, &*access), access, platform: platform(node) })
            }
            Err(error) => ways.without.push((node.name.clone(), format!("{error:#}"))),
        }
    }
    ways
}

fn platform(node: &KnownNode) -> Platform {
    match node.info("architecture") {
        "" => Platform::here(),
        architecture => Platform::linux(architecture),
    }
}

/// Where containerd may listen: as the way there knows it, as kubeadm wrote it down, and at the usual places.
fn sockets(node: &KnownNode, access: &dyn operate::access::Access) -> Vec<String> {
    if let Some(known) = access.containerd_socket() {
        return vec![known.to_owned()];
    }
    let annotation = node.object["metadata"]["annotations"]["kubeadm.alpha.kubernetes.io/cri-socket"].as_str();
    let named = annotation.map(|socket| socket.trim_start_matches("unix://").to_owned());
    let mut seen = BTreeSet::new();
    let all = named.into_iter().chain(USUAL_SOCKETS.map(str::to_owned));
    all.filter(|socket| seen.insert(socket.clone())).collect()
}

/// A digest as short as people compare them.
fn short(digest: &str) -> String {
    digest.strip_prefix("sha256:").unwrap_or(digest).chars().take(12).collect()
}
