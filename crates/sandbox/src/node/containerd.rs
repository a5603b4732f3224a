//! containerd for one node: its start, its restart, its images.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::{CONTAINERD, Node, configuration};
use crate::command::find;
use crate::layout::{NodeDir, write_atomic};
use crate::namespaces::NodeNamespaces;
use crate::network::netns::on_thread;
use crate::process::{self, Daemon, POLL, ProcessId};
use crate::{Error, Result, images};

/// CRI answers within a few hundred milliseconds; a machine under load needs longer.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// Logs of containers that have ended are complete a few milliseconds later; on a machine under load, some seconds.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long containerd may take to end by itself.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// After each such time it is checked that containerd still runs.
const READY_STEP: Duration = Duration::from_millis(200);
/// Directories with CNI plugins: Debian's, and the one of most other packages.
const CNI_DIRS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];
/// Plugins that the pod network consists of.
const CNI_PLUGINS: [&str; 3] = ["bridge", "host-local", "loopback"];

/// The programs of the container runtime on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// The daemon.
    pub containerd: PathBuf,
    /// The default OCI runtime.
    pub runc: PathBuf,
    /// A second OCI runtime, for pods whose RuntimeClass asks for it.
    pub crun: Option<PathBuf>,
    /// Directory of the CNI plugins.
    pub cni: PathBuf,
}

impl Runtime {
    /// Finds everything; the error lists what is missing.
    pub fn find() -> Result<Self, Vec<&'static str>> {
        let (containerd, runc) = (find("containerd"), find("runc"));
        let has = |dir: &&&str, plugin: &str| Path::new(dir).join(plugin).exists();
        let cni = CNI_DIRS.iter().find(|dir| CNI_PLUGINS.iter().all(|plugin| has(dir, plugin)));
        match (containerd, runc, cni) {
            (Some(containerd), Some(runc), Some(cni)) => {
                Ok(Self { containerd, runc, crun: find("crun"), cni: PathBuf::from(cni) })
            }
            (containerd, runc, cni) => {
                let missing =
                    [(containerd.is_none(), "containerd"), (runc.is_none(), "runc"), (cni.is_none(), "CNI plugins")];
                Err(missing.into_iter().filter_map(|(missing, name)| missing.then_some(name)).collect())
            }
        }
    }
}

pub(super) fn ensure(node: &Node, namespaces: &NodeNamespaces, runtime: &Runtime) -> Result<()> {
    let (log, pidfile) = (node.dir().log(CONTAINERD), node.dir().pidfile(CONTAINERD));
    let process = match ProcessId::running(&pidfile) {
        Some(process) => process,
        None => {
            configuration::write(node, runtime)?;
            // One of a containerd that was killed would be taken for the new one's.
            crate::layout::remove_file(&node.dir().cri_socket())?;
            let mut command = Command::new(&runtime.containerd);
            command.args(["--config", "/etc/containerd/config.toml"]);
            let daemon = Daemon { command: node.marked(command), log: &log, pidfile: &pidfile };
            daemon.start(|command| namespaces.spawn(command))?
        }
    };
    let complete = with_cri(node.dir(), async |cri| {
        let deadline = Instant::now() + READY_TIMEOUT;
        while let Err(error) = cri.ready(READY_STEP).await {
            // Only a containerd that is still starting is worth waiting for.
            if !process.alive() || Instant::now() >= deadline || !(error.unavailable() || error.not_ready_yet()) {
                return Err(error);
            }
        }
        let present = cri.list_images().await?;
        let has = |name: &String| present.iter().any(|image| image.repo_tags.contains(name));
        Ok(images::built_in_references().iter().all(has))
    });
    match complete {
        Ok(true) if up_to_date(node) => Ok(()),
        Ok(_) => load_images(node),
        Err(_) if !process.alive() => {
            Err(failure(node, format!("it ended right after its start: {}", last_line(&log))))
        }
        Err(message) => Err(failure(node, message)),
    }
}

/// Ends containerd and starts it again, which makes it read its configuration. Containers go on meanwhile.
pub(super) fn restart(node: &Node, namespaces: &NodeNamespaces, runtime: &Runtime) -> Result<()> {
    process::end(&node.dir().pidfile(CONTAINERD), END_TIMEOUT)?;
    ensure(node, namespaces, runtime)
}

/// Waits until containerd has noticed the end of all containers and has written the last line of their logs. Only a
/// courtesy, so errors are no matter.
pub(super) fn drain(node: &Node) {
    let Some(process) = node.containerd() else { return };
    let running = cri::v1::ContainerState::ContainerRunning as i32;
    let deadline = Instant::now() + DRAIN_TIMEOUT;
    let _ = with_cri(node.dir(), async |cri| {
        while cri.list_containers(Default::default()).await?.iter().any(|container| container.state == running)
            && Instant::now() < deadline
        {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    });
    // A container counts as ended before its last words are in its log; the file is closed after them.
    process::wait_until(deadline.saturating_duration_since(Instant::now()), || !writes_logs(&process));
}

/// Whether a process has a container's log open.
fn writes_logs(process: &ProcessId) -> bool {
    let files = fs::read_dir(format!("/proc/{}/fd", process.pid)).into_iter().flatten().flatten();
    files.filter_map(|file| fs::read_link(file.path()).ok()).any(|path| path.starts_with("/var/log/pods"))
}

fn failure(node: &Node, message: String) -> Error {
    Error::Containerd { node: node.config().name.to_string(), message, log: node.dir().log(CONTAINERD) }
}

fn last_line(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim().to_owned()
}

/// Loads the built-in images. Also after an update of this program: the names
/// stay, the content may differ.
fn load_images(node: &Node) -> Result<()> {
    let images = images::built_in()?;
    with_cri(node.dir(), async |cri| cri.import(&images).await).map_err(|message| failure(node, message))?;
    write_atomic(&images_mark(node), build_mark().as_bytes(), 0o644)
}

fn up_to_date(node: &Node) -> bool {
    fs::read_to_string(images_mark(node)).is_ok_and(|mark| mark == build_mark())
}

fn images_mark(node: &Node) -> PathBuf {
    node.dir().path().join("built-in-images")
}

/// Changes when the programs in the images change.
fn build_mark() -> String {
    let mut hash = sha2::Sha256::default();
    for bytes in crate::programs::PACKED.into_iter().chain([env!("CARGO_PKG_VERSION").as_bytes()]) {
        sha2::Digest::update(&mut hash, bytes);
    }
    sha2::Digest::finalize(hash).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Calls containerd from a thread with its own small async runtime, so that this
/// crate can be used from blocking and from async code.
fn with_cri<T: Send>(
    dir: &NodeDir,
    work: impl AsyncFnOnce(cri::Runtime) -> Result<T, cri::Error> + Send,
) -> Result<T, String> {
    let socket = dir.cri_socket();
    let answer = on_thread(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| Error::System { action: "start an async runtime".to_owned(), source })?;
        Ok(runtime.block_on(async { work(cri::Runtime::new(socket)?).await }).map_err(|error| chain(&error)))
    });
    answer.map_err(|error| error.chain())?
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
