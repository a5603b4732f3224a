//! containerd for one node: its configuration, its start, its images.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs};
use serde_json::json;

use super::{CONTAINERD, Node};
use crate::command::find;
use crate::layout::{NodeDir, make_dir, write_atomic};
use crate::namespaces::NodeNamespaces;
use crate::network::netns::on_thread;
use crate::process::{Daemon, POLL, ProcessId};
use crate::{Error, Result, images};

/// CRI answers within a few hundred milliseconds; a machine under load needs longer.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// Logs of containers that have ended are complete a few milliseconds later.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// After each such time it is checked that containerd still runs.
const READY_STEP: Duration = Duration::from_millis(200);
/// Directories with CNI plugins: Debian's, and the one of most other packages.
const CNI_DIRS: [&str; 3] = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];
/// Plugins that the pod network consists of.
const CNI_PLUGINS: [&str; 3] = ["bridge", "host-local", "loopback"];
/// Number of CAP_SYS_RESOURCE (capabilities(7)).
const CAP_SYS_RESOURCE: u32 = 24;

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
            write_config(node, runtime)?;
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

/// Waits until containerd has noticed the end of all containers: then it has
/// written the last line of their logs. Only a courtesy, so errors are no matter.
pub(super) fn drain(node: &Node) {
    let running = cri::v1::ContainerState::ContainerRunning as i32;
    let _ = with_cri(node.dir(), async |cri| {
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        while cri.list_containers(Default::default()).await?.iter().any(|container| container.state == running)
            && Instant::now() < deadline
        {
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    });
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
    for bytes in [crate::programs::PAUSE, crate::programs::WEB, env!("CARGO_PKG_VERSION").as_bytes()] {
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

fn write_config(node: &Node, runtime: &Runtime) -> Result<()> {
    let etc = node.dir().private("/etc/containerd");
    write_atomic(
        &etc.join("config.toml"),
        config_toml(runtime, has_sys_resource(), snapshotter(node.dir().path())).as_bytes(),
        0o644,
    )?;
    let net = node.dir().private("/etc/cni").join("net.d");
    make_dir(&net)?;
    let pods = node.network.node_pods(node.config()).to_string();
    write_atomic(&net.join("10-shipmate.conflist"), conflist(&pods).as_bytes(), 0o644)?;
    make_dir(&etc.join("certs.d"))
}

/// Paths are those inside the node: containerd's own defaults.
fn config_toml(runtime: &Runtime, may_lower_oom_score: bool, snapshotter: &str) -> String {
    let quote = |text: &str| json!(text).to_string();
    let path = |path: &Path| quote(&path.to_string_lossy());
    let cri = "plugins.\"io.containerd.grpc.v1.cri\"";
    let mut text = format!(
        "# Written at each start of the node's containerd; changes are lost.\n\
         version = 2\n\
         root = \"/var/lib/containerd\"\n\
         state = \"/run/containerd\"\n\
         oom_score = 0\n\
         \n[grpc]\n  address = {}\n\
         \n[plugins.\"io.containerd.internal.v1.opt\"]\n  path = \"/var/lib/containerd/opt\"\n\
         \n[{cri}]\n\
         \x20 sandbox_image = {}\n\
         \x20 # Without CAP_SYS_RESOURCE no process may be made less likely to be killed.\n\
         \x20 restrict_oom_score_adj = {}\n\
         \x20 enable_unprivileged_ports = true\n\
         \x20 enable_unprivileged_icmp = true\n\
         \n[{cri}.registry]\n  config_path = \"/etc/containerd/certs.d\"\n\
         \n[{cri}.cni]\n  bin_dir = {}\n  conf_dir = \"/etc/cni/net.d\"\n\
         \n[{cri}.containerd]\n  snapshotter = \"{snapshotter}\"\n  default_runtime_name = \"runc\"\n",
        quote(NodeDir::CRI_SOCKET_INSIDE),
        quote(&images::pause_reference()),
        !may_lower_oom_score,
        path(&runtime.cni),
    );
    let mut handlers = vec![("runc", &runtime.runc)];
    handlers.extend(runtime.crun.as_ref().map(|crun| ("crun", crun)));
    for (name, program) in handlers {
        text.push_str(&format!(
            "\n[{cri}.containerd.runtimes.{name}]\n  runtime_type = \"io.containerd.runc.v2\"\n\
             \n[{cri}.containerd.runtimes.{name}.options]\n  BinaryName = {}\n  SystemdCgroup = false\n",
            path(program)
        ));
    }
    text
}

fn conflist(pods: &str) -> String {
    // hostPorts are the node's own service proxy's work.
    let plugins = vec![json!({
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": true,
        // Traffic between nodes must keep its source; what leaves the cluster is translated by nftables.
        "ipMasq": false,
        "hairpinMode": true,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    })];
    let list = json!({"cniVersion": "1.0.0", "name": "shipmate", "plugins": plugins});
    format!("{list:#}\n")
}

/// An overlay cannot lie on an overlay, which is what a container's own files
/// are: there, layers are copied.
fn snapshotter(dir: &Path) -> &'static str {
    let on_overlay = statfs(dir).is_ok_and(|fs| fs.filesystem_type() == OVERLAYFS_SUPER_MAGIC);
    if on_overlay { "native" } else { "overlayfs" }
}

/// Whether this process may lower `oom_score_adj`.
fn has_sys_resource() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .is_some_and(|bits| bits & (1 << CAP_SYS_RESOURCE) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_every_runtime_and_quotes_paths() {
        let mut runtime = Runtime {
            containerd: "/usr/bin/containerd".into(),
            runc: "/opt/my \"runc\"".into(),
            crun: None,
            cni: "/usr/lib/cni".into(),
        };
        let text = config_toml(&runtime, false, "overlayfs");
        assert!(text.contains("restrict_oom_score_adj = true"));
        assert!(text.contains(r#"BinaryName = "/opt/my \"runc\"""#));
        assert!(!text.contains("runtimes.crun"));
        runtime.crun = Some("/usr/bin/crun".into());
        let text = config_toml(&runtime, true, "native");
        assert!(text.contains("restrict_oom_score_adj = false") && text.contains("runtimes.crun.options"));
    }

    #[test]
    fn pods_get_addresses_of_their_node() {
        let list: serde_json::Value = serde_json::from_str(&conflist("10.244.1.0/24")).unwrap();
        assert_eq!(list["plugins"][0]["ipam"]["ranges"][0][0]["subnet"], "10.244.1.0/24");
    }
}
