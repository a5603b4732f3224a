//! What a node sees in place of the machine's own files.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Component, Path, PathBuf};

use super::Node;
use crate::layout::{make_dir, write_atomic};
use crate::{Error, Result};

/// Directories that a node has for itself, at the places where containerd, CNI
/// plugins, the kubelet and log collectors expect them.
pub(super) const PRIVATE_DIRS: [&str; 7] = [
    "/etc/cni",
    "/etc/containerd",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
];

/// Files that a node has for itself.
pub(super) const PRIVATE_FILES: [&str; 3] = ["/etc/resolv.conf", "/etc/hosts", "/etc/hostname"];

/// systemd-resolved's list of the real name servers, behind its local stub.
const UPSTREAM: &str = "/run/systemd/resolve/resolv.conf";
const MAX_LINKS: usize = 16;

impl Node {
    /// Writes the node's directories and files. `/run` keeps its content for as
    /// long as the node exists: with an empty one containerd would lose its shims.
    pub(super) fn write_files(&self) -> Result<()> {
        for dir in PRIVATE_DIRS {
            make_dir(&self.dir().private(dir))?;
        }
        let run = self.dir().sys_run();
        for dir in ["containerd", "netns", "lock"] {
            make_dir(&run.join(dir))?;
        }
        // containerd refuses nothing here, but other users must not reach its sockets.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(run.join("containerd"))
            .map_err(Error::file("create", &run))?;
        let name = &self.config().name;
        let hosts = format!(
            "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n{}\t{name}\n",
            self.network.node_ip(self.config())
        );
        self.write("/etc/hosts", &hosts)?;
        self.write("/etc/hostname", &format!("{name}\n"))?;
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        self.write("/etc/resolv.conf", &resolv_conf(&read("/etc/resolv.conf"), &read(UPSTREAM)))
    }

    fn write(&self, path: &str, text: &str) -> Result<()> {
        let file = self.dir().private(path);
        if fs::read_to_string(&file).is_ok_and(|present| present == text) {
            return Ok(());
        }
        // Replacing the file would leave running nodes with the old one mounted.
        if file.exists() {
            return fs::write(&file, text).map_err(Error::file("write", &file));
        }
        write_atomic(&file, text.as_bytes(), 0o644)
    }

    /// Where a private file has to be mounted: the end of the machine's links.
    /// A target below `/run` is written into the node's `/run` instead.
    pub(super) fn place_of(&self, path: &str) -> Result<Option<PathBuf>> {
        let target = follow_links(Path::new(path));
        let Some(inside) = target.strip_prefix("/run").ok().or_else(|| target.strip_prefix("/var/run").ok()) else {
            return Ok(target.exists().then_some(target));
        };
        let copy = self.dir().sys_run().join(inside);
        if let Some(parent) = copy.parent() {
            make_dir(parent)?;
        }
        let source = self.dir().private(path);
        fs::copy(&source, &copy).map_err(Error::file("write", &copy))?;
        Ok(None)
    }
}

/// Name servers that a node can reach. One on a loopback address is the
/// machine's own and not reachable from another network namespace.
fn resolv_conf(machine: &str, upstream: &str) -> String {
    let reachable = |line: &str| match line.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["nameserver", address, ..] => {
            let address = address.split('%').next().unwrap_or(address);
            address.parse::<IpAddr>().is_ok_and(|ip| !ip.is_loopback() && !ip.is_unspecified())
        }
        _ => false,
    };
    let servers = |text: &str| text.lines().filter(|line| reachable(line)).map(str::to_owned).collect::<Vec<_>>();
    let mut found = servers(machine);
    if found.is_empty() {
        found = servers(upstream);
    }
    let mut text = String::new();
    for line in found.iter().take(3) {
        text.push_str(line);
        text.push('\n');
    }
    let option = |line: &&str| ["search ", "options ", "domain "].iter().any(|word| line.starts_with(word));
    for line in machine.lines().filter(option) {
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn follow_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(target) = fs::read_link(&path) else { break };
        let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
        path = normal(&parent.join(target));
    }
    path
}

/// Removes `.` and `..` by text; links to directories on the way stay.
fn normal(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                clean.pop();
            }
            _ => {}
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_name_servers_that_a_node_can_reach_are_kept() {
        let stub = "# stub\nnameserver 127.0.0.53\noptions edns0\nsearch lan\n";
        let upstream = "nameserver 192.168.1.1\nnameserver fe80::1%eth0\n";
        assert_eq!(
            resolv_conf(stub, upstream),
            "nameserver 192.168.1.1\nnameserver fe80::1%eth0\noptions edns0\nsearch lan\n"
        );
        assert_eq!(resolv_conf("nameserver 9.9.9.9\n", upstream), "nameserver 9.9.9.9\n");
        assert_eq!(resolv_conf("nameserver 127.0.0.1\nnameserver ::1\n", ""), "");
        assert_eq!(resolv_conf("", ""), "");
    }

    #[test]
    fn links_are_followed_to_their_end() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::os::unix::fs::symlink("../x/./b", root.join("a")).unwrap();
        let end = root.parent().unwrap().join("x/b");
        assert_eq!(follow_links(&root.join("a")), end);
        assert_eq!(follow_links(&root.join("none")), root.join("none"));
    }
}
