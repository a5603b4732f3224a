//! What a node's containerd is told: `config.toml`, the pod network's conflist, and where `hosts.toml` files go.

use std::fs;
use std::path::Path;

use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs};
use serde_json::json;

use super::Node;
use super::containerd::Runtime;
use crate::layout::{NodeDir, make_dir, write_atomic};
use crate::{Result, images};

/// Number of CAP_SYS_RESOURCE (capabilities(7)).
const CAP_SYS_RESOURCE: u32 = 24;

/// Writes what containerd needs, and leaves alone what somebody has changed since it was written.
pub(super) fn write(node: &Node, runtime: &Runtime) -> Result<()> {
    let etc = node.dir().private("/etc/containerd");
    let text = config_toml(runtime, has_sys_resource(), snapshotter(node.dir().path()));
    write_unless_changed(&etc.join("config.toml"), &node.dir().path().join("written-config.toml"), &text)?;
    let net = node.dir().private("/etc/cni").join("net.d");
    make_dir(&net)?;
    let pods = node.network.node_pods(node.config()).to_string();
    write_atomic(&net.join("10-shipmate.conflist"), conflist(&pods).as_bytes(), 0o644)?;
    make_dir(&etc.join("certs.d"))
}

/// Writes a file, unless its content is other than `written` says that it was written with: then it is somebody's.
fn write_unless_changed(path: &Path, written: &Path, text: &str) -> Result<()> {
    if let (Ok(present), Ok(ours)) = (fs::read(path), fs::read(written))
        && present != ours
    {
        return Ok(());
    }
    // The copy first: if only it is new after a crash, the file counts as changed and the old one goes on being used.
    write_atomic(written, text.as_bytes(), 0o644)?;
    write_atomic(path, text.as_bytes(), 0o644)
}

/// Paths are those inside the node: containerd's own defaults.
fn config_toml(runtime: &Runtime, may_lower_oom_score: bool, snapshotter: &str) -> String {
    let quote = |text: &str| json!(text).to_string();
    let path = |path: &Path| quote(&path.to_string_lossy());
    let cri = "plugins.\"io.containerd.grpc.v1.cri\"";
    let mut text = format!(
        "# Written by shipmate. A change is kept; `shipmate restart NODE` makes containerd read it.\n\
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
    fn what_somebody_changed_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (path, written) = (dir.path().join("config.toml"), dir.path().join("written"));
        let read = || fs::read_to_string(&path).unwrap();
        write_unless_changed(&path, &written, "1").unwrap();
        write_unless_changed(&path, &written, "2").unwrap();
        assert_eq!(read(), "2", "an update of the program reaches it");
        fs::write(&path, "mine").unwrap();
        write_unless_changed(&path, &written, "3").unwrap();
        assert_eq!(read(), "mine");
        fs::remove_file(&path).unwrap();
        write_unless_changed(&path, &written, "4").unwrap();
        assert_eq!(read(), "4");
    }

    #[test]
    fn pods_get_addresses_of_their_node() {
        let list: serde_json::Value = serde_json::from_str(&conflist("10.244.1.0/24")).unwrap();
        assert_eq!(list["plugins"][0]["ipam"]["ranges"][0][0]["subnet"], "10.244.1.0/24");
    }
}
